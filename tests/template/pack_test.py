"""infra/pack.py: the same binary gives the same zip, and a zip above its budget is refused."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "infra"))
sys.dont_write_bytecode = True
import pack  # noqa: E402


class Pack(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)

    def run_pack(self, *functions):
        return subprocess.run(
            [sys.executable, ROOT / "infra/pack.py", "--binaries", self.folder / "{}", "--out", self.folder / "out",
             "--budget", "shipped", *functions],
            capture_output=True, text=True,
        )  # fmt: skip

    def test_the_same_binary_gives_the_same_zip(self):
        binary = self.folder / "webhook-ingest"
        zips = []
        for time in (0, 1_700_000_000):
            binary.write_bytes(b"program")
            os.utime(binary, (time, time))
            binary.chmod(0o600 if time else 0o755)
            self.assertEqual(self.run_pack("webhook-ingest").returncode, 0)
            zips.append((self.folder / "out/webhook-ingest/bootstrap.zip").read_bytes())
        self.assertEqual(*zips)
        with zipfile.ZipFile(self.folder / "out/webhook-ingest/bootstrap.zip") as file:
            [entry] = file.infolist()
            self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
            self.assertEqual(file.read(entry), b"program")

    def test_what_is_too_big_or_missing_is_named(self):
        budget = pack.budgets("shipped")["webhook-ingest"]
        (self.folder / "webhook-ingest").write_bytes(os.urandom(1024 * (budget + 1)))
        done = self.run_pack("webhook-ingest", "bot-messages")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, f"webhook-ingest: .* more than its budget of {budget} KiB")
        self.assertRegex(done.stderr, "bot-messages: .* was not built")

    def test_every_function_has_a_budget_and_is_built_by_the_tests(self):
        crates = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
        built = set(re.findall(r"-p ([\w-]+)", re.search(r"cargo build .*--release.*", (ROOT / "tests/run").read_text())[0]))
        self.assertEqual(built, crates)
        for column in ("shipped", "release"):
            self.assertEqual(set(pack.budgets(column)), crates)


if __name__ == "__main__":
    unittest.main()
