"""infra/secrets against a stand-in for the AWS CLI that keeps one secret in a file and notes how it was called."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).parents[2] / "infra" / "secrets"
ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:s"

FAKE_AWS = f"""#!{sys.executable}
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["FAKE_AWS"])
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
match arguments[1]:
    case "describe-stacks":
        print("{ARN}" if value("--stack-name") == "bridge" else "None")
    case "get-secret-value":
        assert value("--secret-id") == "{ARN}"
        print((folder / "secret").read_text())
    case "put-secret-value":
        assert value("--secret-id") == "{ARN}"
        (folder / "secret").write_text(pathlib.Path(value("--secret-string").removeprefix("file://")).read_text())
        with open(folder / "history", "a") as history:
            history.write((folder / "secret").read_text() + "\\n")
        print("version")
"""

# What the template's GenerateSecretString makes.
INITIAL = {"teams_client_secret": "", "pagerduty_client_secret": "", "token_keys": [], "session_key": "generated"}


class Secrets(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)
        (self.folder / "aws").write_text(FAKE_AWS)
        (self.folder / "aws").chmod(0o755)
        self.store(INITIAL)

    def store(self, document):
        text = document if isinstance(document, str) else json.dumps(document)
        (self.folder / "secret").write_text(text)

    def stored(self):
        return json.loads((self.folder / "secret").read_text())

    def run_script(self, *arguments, answers="", stack="bridge"):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE_AWS": str(self.folder)}
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments, "--stack", stack],
            input=answers, capture_output=True, text=True, env=environment,
        )

    def succeed(self, *arguments, answers=""):
        done = self.run_script(*arguments, answers=answers)
        self.assertEqual(done.returncode, 0, done.stderr)
        # Whatever is in the secret now is neither shown nor seen in a list of processes.
        seen = done.stdout + done.stderr + (self.folder / "calls").read_text()
        document = self.stored()
        values = [document["teams_client_secret"], document["pagerduty_client_secret"], document["session_key"]]
        for value in values + [entry["key"] for entry in document["token_keys"]]:
            self.assertTrue(not value or value not in seen, "a value was shown")
        return done

    def refuse(self, *arguments, because, answers="", stack="bridge"):
        before = (self.folder / "secret").read_text()
        done = self.run_script(*arguments, answers=answers, stack=stack)
        self.assertEqual(done.returncode, 1)
        self.assertIn(because, done.stderr)
        self.assertEqual((self.folder / "secret").read_text(), before)

    def filled(self):
        self.succeed("fill", answers="teams-canary\npagerduty-canary\n")
        return self.stored()

    def test_fill_makes_what_the_functions_need(self):
        document = self.filled()
        self.assertEqual(document["teams_client_secret"], "teams-canary")
        self.assertEqual(document["pagerduty_client_secret"], "pagerduty-canary")
        self.assertEqual(document["session_key"], "generated")
        [key] = document["token_keys"]
        self.assertEqual(len(base64.b64decode(key["key"], validate=True)), 32)
        self.assertEqual(set(key), {"id", "key"})

    def test_fill_again_keeps_everything_and_asks_nothing(self):
        document = self.filled()
        self.succeed("fill")
        self.assertEqual(self.stored(), document)

    def test_fill_adds_only_what_is_missing(self):
        document = self.filled()
        self.store({**document, "pagerduty_client_secret": "", "note": "kept"})
        self.succeed("fill", answers="another-canary\n")
        self.assertEqual(self.stored(), {**document, "pagerduty_client_secret": "another-canary", "note": "kept"})

    def test_two_stacks_never_get_the_same_keys(self):
        first = self.filled()
        self.store(INITIAL)
        self.assertNotEqual(self.filled()["token_keys"][0]["key"], first["token_keys"][0]["key"])

    def test_an_unanswered_question_changes_nothing(self):
        self.refuse("fill", answers="only-one\n", because="pagerduty_client_secret was not given")

    def test_check_tells_what_is_missing(self):
        self.refuse("check", because="missing: teams_client_secret, pagerduty_client_secret, token_keys")
        self.filled()
        self.assertIn("complete", self.succeed("check").stdout)

    def test_replace_changes_one_value(self):
        document = self.filled()
        self.succeed("replace", "teams_client_secret", answers="newer-canary\n")
        self.assertEqual(self.stored(), {**document, "teams_client_secret": "newer-canary"})

    def test_a_new_token_key_is_known_before_it_seals(self):
        [old] = self.filled()["token_keys"]
        self.succeed("rotate-token-key", "--pause", "0")
        steps = [json.loads(line)["token_keys"] for line in (self.folder / "history").read_text().splitlines()[-2:]]
        new = steps[0][1]
        self.assertEqual(steps, [[old, new], [new, old]])
        self.assertNotEqual(new["id"], old["id"])
        self.assertNotEqual(new["key"], old["key"])

    def test_an_interrupted_rotation_can_be_finished(self):
        self.filled()
        self.succeed("rotate-token-key", "--pause", "0")
        new, old = self.stored()["token_keys"]
        self.succeed("rotate-token-key", "--promote", old["id"])
        self.assertEqual(self.stored()["token_keys"], [old, new])
        self.refuse("rotate-token-key", "--promote", "unknown", because="no token key unknown")

    def test_rotation_needs_a_key_to_rotate(self):
        self.refuse("rotate-token-key", "--pause", "0", because="no token key yet")

    def test_a_new_session_key_changes_nothing_else(self):
        document = self.filled()
        self.succeed("rotate-session-key")
        after = self.stored()
        self.assertNotEqual(after["session_key"], document["session_key"])
        self.assertGreaterEqual(len(after["session_key"]), 64)
        self.assertEqual({**after, "session_key": ""}, {**document, "session_key": ""})

    def test_what_it_does_not_understand_it_leaves_alone(self):
        for secret, because in [
            ("not json canary", "not PagerBridge's JSON"),
            ("[]", "not PagerBridge's JSON"),
            ({**INITIAL, "token_keys": "canary"}, "not PagerBridge's JSON"),
            ({**INITIAL, "token_keys": [{"id": "a", "key": "c2hvcnQ="}]}, "base64 of 32 bytes"),
            ({**INITIAL, "token_keys": [{"id": "a"}]}, "base64 of 32 bytes"),
            ({**INITIAL, "token_keys": ["a"]}, "base64 of 32 bytes"),
        ]:
            self.store(secret)
            self.refuse("fill", answers="a\nb\n", because=because)

    def test_another_stack_is_named(self):
        self.refuse("fill", stack="other", because="the stack other has no output SecretArn")


if __name__ == "__main__":
    unittest.main()
