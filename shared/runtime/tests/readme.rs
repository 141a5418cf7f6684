//! The README's table of variables is the one that the code reads.

use runtime::VARIABLES;

#[test]
fn the_readme_documents_every_variable_as_it_is_read() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let table =
        readme.split("<!-- variables -->").nth(1).and_then(|rest| rest.split("<!-- /variables -->").next()).unwrap();
    let documented: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = VARIABLES
        .iter()
        .map(|v| format!("| `{}` | {} | {} |", v.name, v.default.unwrap_or("(required)"), v.meaning))
        .collect();
    assert_eq!(documented, expected);
}
