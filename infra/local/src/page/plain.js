// Draws a card without Microsoft's renderer: everything is readable and every button works, nothing is pretty.

function element(name, text) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  return node;
}

function runs(block) {
  return (block.inlines ?? []).map((run) => (typeof run === "string" ? run : run.text)).join("");
}

/** `act(action, inputs)` is called when a button is pressed. */
export function render(card, act) {
  const root = element("div");
  root.className = "plain";
  const read = (inputs) => Object.fromEntries([...inputs].map(([id, field]) => [id, field.value]));

  function button(action, parent, inputs) {
    const node = element("button", action.title);
    node.type = "button";
    parent.append(node);
    if (action.type === "Action.ShowCard") {
      const inner = element("div");
      inner.hidden = true;
      const own = new Map();
      walk(action.card.body, inner, own);
      actions(action.card.actions, inner, own);
      parent.after(inner);
      node.addEventListener("click", () => { inner.hidden = !inner.hidden; });
    } else {
      node.addEventListener("click", () => act(action, read(inputs)));
    }
  }

  function actions(list, parent, inputs) {
    if (!list?.length) return;
    const row = element("div");
    row.className = "buttons";
    parent.append(row);
    for (const action of list) button(action, row, inputs);
  }

  function walk(items, parent, inputs) {
    for (const item of items ?? []) {
      if (item.type === "TextBlock") parent.append(element("p", item.text));
      else if (item.type === "RichTextBlock") parent.append(element("p", runs(item)));
      else if (item.type === "Container") walk(item.items, parent, inputs);
      else if (item.type === "ActionSet") actions(item.actions, parent, inputs);
      else if (item.type === "ColumnSet") {
        const row = element("div");
        row.className = "columns";
        for (const column of item.columns) {
          const cell = element("div");
          walk(column.items, cell, inputs);
          row.append(cell);
        }
        parent.append(row);
      } else if (item.type === "Input.Text") {
        const label = element("label", item.label ?? item.placeholder ?? "Text");
        const field = element("textarea");
        if (item.maxLength) field.maxLength = item.maxLength;
        inputs.set(item.id, field);
        label.append(field);
        parent.append(label);
      } else if (item.text) parent.append(element("p", item.text));
    }
  }

  const inputs = new Map();
  walk(card.body, root, inputs);
  actions(card.actions, root, inputs);
  return root;
}
