"""infra/secrets against a stand-in for the AWS CLI that keeps secrets and a table in files and notes how it was called."""

import base64
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "infra" / "secrets"
FIELDS = json.loads((ROOT / "infra" / "secret-fields.json").read_text())
SOURCE = "source"

FAKE_AWS = f"""#!{sys.executable} -IS
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["FAKE_AWS"])
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
def fail(text):
    print(text, file=sys.stderr)
    sys.exit(254)
secret = lambda: folder / "secrets" / value("--secret-id").removeprefix("arn:")
match arguments[1]:
    case "describe-stacks":
        assert value("--output") == "json" and value("--query") == "Stacks[0].Outputs"
        print((folder / "outputs").read_text() if value("--stack-name") == "bridge" else "null")
    case "get-secret-value":
        if not secret().exists():
            fail("An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager "
                 "can't find the specified secret.")
        text = secret().read_text()
        # Made without a value.
        if not text:
            fail("An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation: Secrets Manager "
                 "can't find the specified secret value for staging label: AWSCURRENT")
        print(text)
    case "put-secret-value":
        assert secret().exists()
        left = folder / "puts-left"
        if left.exists():
            if left.read_text() == "0":
                fail("An error occurred (InternalServiceError)")
            left.write_text(str(int(left.read_text()) - 1))
        secret().write_text(pathlib.Path(value("--secret-string").removeprefix("file://")).read_text())
        with open(folder / "history", "a") as history:
            history.write(json.dumps([secret().name, json.loads(secret().read_text())]) + "\\n")
        print("version")
    case "scan":
        assert value("--table-name") == "pagerbridge" and "--consistent-read" in arguments and value("--output") == "json"
        names, values = json.loads(value("--expression-attribute-names")), json.loads(value("--expression-attribute-values"))
        prefixes = tuple(v["S"] for k, v in values.items() if k.startswith(":p"))
        assert value("--filter-expression").count("begins_with(pk, ") == len(prefixes)
        shown = [names.get(name, name) for name in value("--projection-expression").split(", ")]
        scans = folder / "scans"
        number = int(scans.read_text()) if scans.exists() else 0
        scans.write_text(str(number + 1))
        late = folder / f"table-{{number}}"
        items = json.loads((late if late.exists() else folder / "table").read_text())
        items = [item for item in items if not item["pk"]["S"].startswith(prefixes) and item["kind"] != values[":unreadable"]]
        print(json.dumps([{{name: item[name] for name in shown if name in item}} for item in items]))
"""

# What the template's GenerateSecretString makes.
INITIAL = {"teams_client_secret": "", "pagerduty_client_secret": "", "token_keys": [], "session_key": "generated"}
TABLE = {"OutputKey": "TableName", "OutputValue": "pagerbridge"}


def output(function):
    return "".join(word.capitalize() for word in function.split("-")) + "SecretArn"


def sealed(pk, kind, *keys, expires=None):
    """An item as DynamoDB gives it, with something sealed by each of these keys."""
    parts = [{"M": {"key_id": {"S": key}, "nonce": {"S": "n"}, "bytes": {"S": "b"}}} for key in keys]
    item = {"pk": {"S": pk}, "sk": {"S": "x"}, "kind": {"S": kind}, "data": {"M": {"deep": {"L": parts}}}}
    return {**item, **({"expires_at": {"N": str(int(expires))}} if expires is not None else {})}


class Base(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)
        (self.folder / "aws").write_text(FAKE_AWS)
        (self.folder / "aws").chmod(0o755)
        (self.folder / "secrets").mkdir()
        outputs = {"SecretArn": SOURCE, **{output(function): function for function in FIELDS}}
        self.outputs(outputs)
        self.store(INITIAL)
        for function in FIELDS:
            (self.folder / "secrets" / function).write_text("")
        self.table([])

    def outputs(self, outputs):
        listed = [{"OutputKey": key, "OutputValue": f"arn:{value}"} for key, value in outputs.items()]
        (self.folder / "outputs").write_text(json.dumps([TABLE, *listed]))

    def table(self, items, after=None):
        """What the table holds; `after` so many scans only."""
        (self.folder / ("table" if after is None else f"table-{after}")).write_text(json.dumps(items))

    def store(self, document, secret=SOURCE):
        text = document if isinstance(document, str) else json.dumps(document)
        (self.folder / "secrets" / secret).write_text(text)

    def stored(self, secret=SOURCE):
        return json.loads((self.folder / "secrets" / secret).read_text())

    def everything(self):
        return {path.name: path.read_text() for path in (self.folder / "secrets").iterdir()}

    def history(self, secret=SOURCE):
        lines = map(json.loads, (self.folder / "history").read_text().splitlines())
        return [document for name, document in lines if name == secret]

    def run_script(self, *arguments, answers="", place=("--stack", "bridge")):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE_AWS": str(self.folder)}
        return subprocess.run(
            [sys.executable, "-IBS", SCRIPT, *arguments, *place], input=answers, capture_output=True, text=True, env=environment
        )

    def succeed(self, *arguments, answers="", **place):
        done = self.run_script(*arguments, answers=answers, **place)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.shows_nothing(done)
        return done

    def shows_nothing(self, done):
        """Whatever is in the secrets now is neither shown nor seen in a list of processes."""
        seen = done.stdout + done.stderr + (self.folder / "calls").read_text()
        for secret in (self.folder / "secrets").iterdir():
            for value in re.findall(r'"(?:key|\w+_client_secret|session_key)": "([^"]+)"', secret.read_text()):
                self.assertNotIn(value, seen, "a value was shown")

    def sleeping(self, *arguments):
        """Runs the script in this process, with its usual pause. For each time that it waits: how long, and what is stored then."""
        waits = []
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE_AWS": str(self.folder)}
        loader = importlib.machinery.SourceFileLoader("secrets_script", str(SCRIPT))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        with (
            mock.patch.object(sys, "dont_write_bytecode", True),
            mock.patch.dict(os.environ, environment),
            mock.patch.object(sys, "argv", ["secrets", *arguments, "--stack", "bridge"]),
            mock.patch.object(time, "sleep", lambda seconds: waits.append((seconds, self.stored(), self.stored("bot-messages")))),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            loader.exec_module(module)
            self.assertEqual(module.main(), 0)
        return waits

    def refuse(self, *arguments, because, answers="", **place):
        before = self.everything()
        done = self.run_script(*arguments, answers=answers, **place)
        self.assertEqual(done.returncode, 1, done.stdout)
        for words in [because] if isinstance(because, str) else because:
            self.assertIn(words, done.stderr)
        self.assertEqual(self.everything(), before)
        self.shows_nothing(done)
        return done

    def fill(self):
        self.succeed("fill", answers="teams-canary\npagerduty-canary\n")
        return self.stored()

    def filled(self, **rings):
        """As after `fill`, made here, since each call of the script takes its time."""
        rings = {"token_keys": ["t1"], "webhook_keys": ["w1"], **rings}
        keys = {ring: [{"id": name, "key": base64.b64encode(os.urandom(32)).decode()} for name in ids] for ring, ids in rings.items()}
        secrets = {"teams_client_secret": "teams-canary", "pagerduty_client_secret": "pagerduty-canary"}
        document = {**secrets, **keys, "session_key": "session-canary"}
        self.store(document)
        for function, fields in FIELDS.items():
            self.store({field: document[field] for field in fields}, function)
        return document

    def in_line(self):
        """Every function has its fields of the source, and no others."""
        source = self.stored()
        for function, fields in FIELDS.items():
            self.assertEqual(self.stored(function), {field: source[field] for field in fields}, function)

    def ids(self, ring, secret=SOURCE):
        return [entry["id"] for entry in self.stored(secret)[ring]]


class Filling(Base):
    def test_fill_makes_what_the_functions_need(self):
        document = self.fill()
        self.assertEqual(document["teams_client_secret"], "teams-canary")
        self.assertEqual(document["pagerduty_client_secret"], "pagerduty-canary")
        self.assertEqual(document["session_key"], "generated")
        for ring in ("token_keys", "webhook_keys"):
            [key] = document[ring]
            self.assertEqual(len(base64.b64decode(key["key"], validate=True)), 32)
            self.assertEqual(set(key), {"id", "key"})
        self.assertNotEqual(document["token_keys"], document["webhook_keys"])

    def test_each_function_gets_its_fields_and_no_others(self):
        self.fill()
        self.in_line()
        self.assertEqual(set(self.stored("webhook-ingest")), {"pagerduty_client_secret", "webhook_keys"})
        self.assertNotIn("token_keys", self.stored("admin-api"))

    def test_fill_again_keeps_everything_and_asks_nothing(self):
        self.fill()
        before = self.everything()
        self.succeed("fill")
        self.assertEqual(self.everything(), before)
        self.assertEqual(len(self.history()), 1)

    def test_fill_adds_only_what_is_missing(self):
        document = self.filled()
        self.store({**document, "pagerduty_client_secret": "", "note": "kept"})
        self.succeed("fill", answers="another-canary\n")
        self.assertEqual(self.stored(), {**document, "pagerduty_client_secret": "another-canary", "note": "kept"})
        self.in_line()

    def test_two_stacks_never_get_the_same_keys(self):
        first = self.fill()
        self.store(INITIAL)
        second = self.fill()
        for ring in ("token_keys", "webhook_keys"):
            self.assertNotEqual(second[ring][0]["key"], first[ring][0]["key"])

    def test_an_unanswered_question_changes_nothing(self):
        self.refuse("fill", answers="only-one\n", because="pagerduty_client_secret was not given")

    def test_what_broke_off_is_finished_by_the_next_command(self):
        for puts in (0, 1, len(FIELDS)):
            with self.subTest(puts=puts):
                self.store(INITIAL)
                for function in FIELDS:
                    self.store("", function)
                (self.folder / "puts-left").write_text(str(puts))
                done = self.run_script("fill", answers="teams-canary\npagerduty-canary\n")
                self.assertEqual(done.returncode, 1)
                self.assertIn("InternalServiceError", done.stderr)
                (self.folder / "puts-left").unlink()
                self.succeed("fill", answers="teams-canary\npagerduty-canary\n")
                self.in_line()

    def test_replace_changes_one_value(self):
        document = self.filled()
        self.succeed("replace", "teams_client_secret", answers="newer-canary\n")
        self.assertEqual(self.stored(), {**document, "teams_client_secret": "newer-canary"})
        self.in_line()

    def test_a_new_session_key_changes_nothing_else(self):
        document = self.filled()
        self.succeed("rotate-session-key")
        after = self.stored()
        self.assertNotEqual(after["session_key"], document["session_key"])
        self.assertGreaterEqual(len(after["session_key"]), 64)
        self.assertEqual({**after, "session_key": ""}, {**document, "session_key": ""})
        self.in_line()

    def test_what_it_does_not_understand_it_leaves_alone(self):
        for secret, because in [
            ("not json canary", "not PagerBridge's JSON"),
            ("[]", "not PagerBridge's JSON"),
            ({**INITIAL, "token_keys": "canary"}, "not PagerBridge's JSON"),
            ({**INITIAL, "webhook_keys": "canary"}, "not PagerBridge's JSON"),
            ({**INITIAL, "token_keys": [{"id": "a", "key": "c2hvcnQ="}]}, "one of token_keys is not an id with base64"),
            ({**INITIAL, "webhook_keys": [{"id": "a", "key": "c2hvcnQ="}]}, "one of webhook_keys is not an id with base64"),
            ({**INITIAL, "token_keys": [{"id": "a"}]}, "base64 of 32 bytes"),
            ({**INITIAL, "token_keys": ["a"]}, "base64 of 32 bytes"),
        ]:
            self.store(secret)
            self.refuse("fill", answers="a\nb\n", because=because)

    def test_another_stack_is_named(self):
        self.refuse("fill", place=("--stack", "other"), because="the stack other has no output SecretArn")

    def test_a_stack_of_the_version_before_has_one_secret_without_webhook_keys(self):
        self.outputs({"SecretArn": SOURCE})
        said = self.succeed("fill", answers="teams-canary\npagerduty-canary\n").stdout
        self.assertIn("of an older version", said)
        self.assertIn("Update it first", said)
        self.assertEqual(set(self.stored()), {"teams_client_secret", "pagerduty_client_secret", "token_keys", "session_key"})
        self.refuse("rotate-webhook-key", because="there is no webhook key yet")
        self.assertIn("complete", self.succeed("check").stdout)
        self.assertEqual({text for name, text in self.everything().items() if name != SOURCE}, {""})

    def test_half_a_stack_is_refused(self):
        outputs = {"SecretArn": SOURCE, **{output(function): function for function in FIELDS}}
        del outputs["ReconcilerSecretArn"]
        self.outputs(outputs)
        self.refuse("fill", answers="a\nb\n", because="has no output ReconcilerSecretArn; deploy this version")

    def test_a_copy_that_is_gone_is_not_taken_for_an_empty_one(self):
        (self.folder / "secrets" / "reconciler").unlink()
        done = self.run_script("fill", answers="a\nb\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("can't find the specified secret.", done.stderr)

    def test_one_secret_alone_serves_all_functions(self):
        place = {"place": ("--secret-id", "arn:source")}
        self.succeed("fill", answers="teams-canary\npagerduty-canary\n", **place)
        self.succeed("rotate-token-key", "--pause", "0", **place)
        self.succeed("rotate-webhook-key", "--pause", "0", **place)
        self.assertIn("complete", self.succeed("check", **place).stdout)
        self.refuse("drop-old-keys", "--pause", "0", because="give --stack, or --table beside --secret-id", **place)
        self.succeed("drop-old-keys", "--pause", "0", "--table", "pagerbridge", **place)
        self.assertEqual((len(self.ids("token_keys")), len(self.ids("webhook_keys"))), (1, 1))
        self.assertNotIn("describe-stacks", (self.folder / "calls").read_text())


class Checking(Base):
    def test_check_tells_what_is_missing(self):
        missing = "missing: teams_client_secret, pagerduty_client_secret, token_keys, webhook_keys"
        self.refuse("check", because=[missing, "the secret of webhook-ingest has no value yet"])
        self.filled()
        said = self.succeed("check").stdout
        self.assertIn("complete", said)
        self.assertIn("notification-sender has: teams_client_secret, pagerduty_client_secret\n", said)

    def test_check_tells_which_copies_are_not_up_to_date(self):
        document = self.filled()
        for changed, said in [
            ({**self.stored("reconciler"), "teams_client_secret": "old-canary"}, "teams_client_secret"),
            ({**self.stored("reconciler"), "session_key": document["session_key"]}, "session_key"),
            ({"webhook_keys": document["webhook_keys"]}, "teams_client_secret, pagerduty_client_secret"),
        ]:
            self.store(changed, "reconciler")
            done = self.refuse("check", because=f"the secret of reconciler is not up to date: {said}\n")
            self.assertNotIn("admin-api is", done.stderr)
        for text in ("", "not json canary", "[]"):
            self.store(text, "reconciler")
            self.refuse("check", because="the secret of reconciler has no value yet")
        self.succeed("fill")
        self.in_line()


class Rotating(Base):
    def test_a_new_key_is_known_to_everybody_before_it_seals(self):
        self.filled()
        for ring, command, reader in [
            ("token_keys", "rotate-token-key", "bot-messages"),
            ("webhook_keys", "rotate-webhook-key", "webhook-ingest"),
        ]:
            [old] = self.stored()[ring]
            other = {**self.stored(), ring: None}
            self.succeed(command, "--pause", "0")
            for secret in (SOURCE, reader):
                steps = [document[ring] for document in self.history(secret)[-2:]]
                new = steps[0][1]
                self.assertEqual(steps, [[old, new], [new, old]], secret)
            self.assertNotEqual(new["id"], old["id"])
            self.assertNotEqual(new["key"], old["key"])
            self.assertEqual({**self.stored(), ring: None}, other)
            self.in_line()

    def test_it_waits_between_the_two_steps(self):
        self.filled()
        for ring, command in [("token_keys", "rotate-token-key"), ("webhook_keys", "rotate-webhook-key")]:
            for arguments in ([command], [command, "--promote", self.ids(ring)[0]]):
                first = self.ids(ring)[0]
                [(pause, source, copy)] = self.sleeping(*arguments)
                for document in (source, copy):
                    self.assertEqual(document[ring][0]["id"], first, "not promoted yet")
                    self.assertEqual(len(document[ring]), 2, "known to everybody")
        cached = re.search(r"CACHE_FOR: \w+ = \w+::from_mins\((\d+)\)", (ROOT / "shared/runtime/src/secrets.rs").read_text())
        self.assertGreater(pause, 60 * int(cached[1]), "longer than functions keep the secret")

    def test_an_interrupted_rotation_can_be_finished(self):
        self.filled()
        for ring, command in [("token_keys", "rotate-token-key"), ("webhook_keys", "rotate-webhook-key")]:
            self.succeed(command, "--pause", "0")
            new, old = self.stored()[ring]
            # Broken off before the copies.
            self.store({**self.stored("bot-messages"), ring: [old]}, "bot-messages")
            told = self.succeed(command, "--promote", old["id"], "--pause", "0").stdout
            self.assertIn("copied to: bot-messages", told)
            self.assertEqual(self.history("bot-messages")[-2][ring], [new, old], "known before it is promoted")
            self.assertEqual(self.stored()[ring], [old, new])
            self.in_line()
            self.refuse(command, "--promote", "unknown", "--pause", "0", because="key unknown; nothing was changed")

    def test_rotation_needs_a_key_to_rotate(self):
        self.refuse("rotate-token-key", "--pause", "0", because="no token key yet")
        self.refuse("rotate-webhook-key", "--pause", "0", because="no webhook key yet")


class Upgrading(Base):
    """From one secret, in which the token keys have sealed the secrets of webhooks."""

    def setUp(self):
        super().setUp()
        old = [{"id": name, "key": base64.b64encode(os.urandom(32)).decode()} for name in ("t2", "t1")]
        self.before = {
            "teams_client_secret": "teams-canary",
            "pagerduty_client_secret": "pagerduty-canary",
            "token_keys": old,
            "session_key": "session-canary",
        }
        self.store(self.before)

    def test_webhooks_get_keys_of_their_own_behind_those_that_have_sealed_them(self):
        self.succeed("fill", "--pause", "0")
        old, after = self.before["token_keys"], self.stored()
        for secret in (SOURCE, "webhook-ingest"):
            added, promoted = [document["webhook_keys"] for document in self.history(secret)]
            own = added[-1]
            self.assertEqual((added, promoted), ([*old, own], [own, *old]), "no webhook key is unknown when it begins to seal")
        self.assertEqual(after, {**self.before, "webhook_keys": [own, *old]})
        self.in_line()
        self.succeed("fill", "--pause", "0")
        self.assertEqual(self.stored(), after)

    def test_it_waits_before_the_new_key_seals(self):
        [(pause, source, copy)] = self.sleeping("fill")
        for document in (source, copy):
            self.assertEqual([key["id"] for key in document["webhook_keys"][:2]], ["t2", "t1"])
            self.assertEqual(len(document["webhook_keys"]), 3)
        self.assertEqual(pause, 360)

    def test_an_interruption_between_the_steps_is_finished_by_running_it_again(self):
        own = {"id": "webhook-x", "key": base64.b64encode(os.urandom(32)).decode()}
        self.store({**self.before, "webhook_keys": [*self.before["token_keys"], own]})
        self.succeed("fill", "--pause", "0")
        self.assertEqual(self.ids("webhook_keys"), ["webhook-x", "t2", "t1"])
        self.assertEqual([d["webhook_keys"][-1] for d in self.history("webhook-ingest")[:1]], [own])
        self.in_line()

    def test_the_way_back_and_forth_again(self):
        self.refuse("join-keys", because="webhooks have no keys of their own")
        self.succeed("fill", "--pause", "0")
        self.succeed("drop-old-keys", "--pause", "0")
        token, webhook = self.stored()["token_keys"], self.stored()["webhook_keys"]
        self.succeed("join-keys")
        # The version before seals with the first token key, and opens what this one has sealed.
        joined = self.stored()
        self.assertEqual((joined["token_keys"], joined["webhook_keys"]), (token + webhook, webhook + token))
        self.in_line()
        self.succeed("join-keys")
        self.succeed("fill", "--pause", "0")
        self.assertEqual(self.stored(), joined)
        self.assertIn("complete", self.succeed("check").stdout)
        self.succeed("drop-old-keys", "--pause", "0")
        self.assertEqual((self.stored()["token_keys"], self.stored()["webhook_keys"]), (token, webhook))

    def test_a_stack_that_was_rolled_back_promotes_nothing_and_its_new_token_keys_are_joined(self):
        own = {"id": "webhook-x", "key": base64.b64encode(os.urandom(32)).decode()}
        half_way = {**self.before, "webhook_keys": [*self.before["token_keys"], own]}
        self.store(half_way)
        self.outputs({"SecretArn": SOURCE})
        self.succeed("fill", "--pause", "0")
        self.assertEqual(self.stored(), half_way)
        self.assertIn("complete", self.succeed("check").stdout)
        self.succeed("rotate-token-key", "--pause", "0")
        self.refuse("check", because="run `infra/secrets join-keys` before the next update")
        self.succeed("join-keys")
        joined = self.stored()
        self.assertEqual({key["id"] for key in joined["webhook_keys"]}, {key["id"] for key in joined["token_keys"]})
        self.assertEqual(joined["webhook_keys"][0], own, "after the next update webhooks have their own key")
        self.assertIn("complete", self.succeed("check").stdout)

    def test_half_way_there_is_no_way_back(self):
        own = {"id": "webhook-x", "key": base64.b64encode(os.urandom(32)).decode()}
        self.store({**self.before, "webhook_keys": [*self.before["token_keys"], own]})
        for command in (["join-keys"], ["drop-old-keys", "--pause", "0"], ["check"]):
            self.refuse(*command, because="webhooks have no current key of their own yet")

    def test_a_copy_has_the_token_keys_for_webhooks_before_that(self):
        self.succeed("replace", "teams_client_secret", answers="newer-canary\n")
        self.assertEqual(self.stored("webhook-ingest")["webhook_keys"], self.before["token_keys"])
        self.assertNotIn("webhook_keys", self.stored())


class Dropping(Base):
    def setUp(self):
        super().setUp()
        self.both = self.filled(token_keys=["t2", "t1"], webhook_keys=["w2", "w1"])
        self.old = {"token_keys": "t1", "webhook_keys": "w1"}

    def test_what_seals_nothing_any_more_is_forgotten_everywhere(self):
        current = {ring: self.both[ring][:1] for ring in self.old}
        self.table([
            sealed("USER#t#u", "account_link", current["token_keys"][0]["id"]),
            sealed("SUBSCRIPTION#s", "subscription", current["webhook_keys"][0]["id"]),
        ])  # fmt: skip
        self.succeed("drop-old-keys", "--pause", "0")
        self.assertEqual(self.stored(), {**self.both, **current})
        self.in_line()
        self.assertIn("there are no old keys", self.succeed("drop-old-keys", "--pause", "0").stdout)

    def test_nothing_is_forgotten_that_still_seals_something(self):
        token, webhook = self.old["token_keys"], self.old["webhook_keys"]
        soon = time.time() + 300
        for items, because in [
            ([sealed("USER#t#u", "account_link", token)] * 2, f"2 of kind account_link are still sealed by the token key {token}"),
            ([sealed("PENDING#h", "pending_link", token, expires=soon)], "1 of kind pending_link are still sealed by the token key"),
            ([sealed("ATTEMPT#h", "attempt", token, expires=soon)], "1 of kind attempt"),
            ([sealed("NEW#kind", "something_new", "x", token)], "1 of kind something_new"),
            ([sealed("SUBSCRIPTION#s", "subscription", webhook, webhook)], "1 of kind subscription are still sealed by the webhook key"),
        ]:  # fmt: skip
            self.table(items)
            self.refuse("drop-old-keys", "--pause", "0", because=[because, "nothing was dropped", "reseal"])

    def test_each_list_has_its_own_items(self):
        # The keys of tokens have never sealed a webhook here, nor the other way round.
        token, webhook = self.old["token_keys"], self.old["webhook_keys"]
        self.table([sealed("SUBSCRIPTION#s", "subscription", token), sealed("USER#t#u", "account_link", webhook)])
        done = self.succeed("drop-old-keys", "--pause", "0")
        self.assertIn(f"1 of kind subscription are sealed by {token}, which is not there any more", done.stderr)

    def test_what_is_over_and_what_is_never_sealed_is_no_reason(self):
        token = self.old["token_keys"]
        self.table([
            sealed("PENDING#h", "pending_link", token, expires=time.time() - 1),
            sealed("INCIDENT#a#i", "record", token),
            sealed("SUBSCRIPTION#s", "unreadable", self.old["webhook_keys"]),
        ])  # fmt: skip
        self.succeed("drop-old-keys", "--pause", "0")
        self.assertEqual(len(self.ids("token_keys")), 1)

    def test_what_is_sealed_while_it_waits_keeps_the_keys(self):
        self.table([sealed("USER#t#u", "account_link", self.old["token_keys"])], after=1)
        self.refuse("drop-old-keys", "--pause", "0", because="1 of kind account_link")
        self.assertEqual((self.folder / "scans").read_text(), "2")

    def test_what_is_sealed_at_the_last_moment_brings_the_keys_back(self):
        self.table([sealed("USER#t#u", "account_link", self.old["token_keys"])], after=2)
        self.refuse("drop-old-keys", "--pause", "0", because=["1 of kind account_link", "The old keys were put back."])
        self.in_line()
        self.assertEqual(len(self.history()[-2]["token_keys"]), 1, "they were away")

    def test_it_waits_until_nobody_seals_with_an_old_key(self):
        [(pause, source, copy)] = self.sleeping("drop-old-keys")
        self.assertEqual(pause, 360)
        self.assertEqual((source, len(copy["token_keys"])), (self.both, 2), "nothing is dropped yet")
        self.assertEqual(len(self.ids("token_keys")), 1)

    def test_kinds_that_are_not_looked_through_are_kinds_in_which_nothing_is_sealed(self):
        unsealed = re.search(r"^UNSEALED = \((.*?)\)$", SCRIPT.read_text(), re.MULTILINE | re.DOTALL)[1]
        unsealed = set(re.findall(r'"([A-Z]+)#"', unsealed))
        known = set(re.findall(r'"([A-Z]+)#', (ROOT / "shared/store/src/keys.rs").read_text()))
        self.assertEqual(unsealed - known, set())
        # Whoever stores something sealed says so by this type, and in these files.
        store = (ROOT / "shared/store/src").glob("*.rs")
        holders = {path.stem for path in store if re.search(r": (Vec<)?Sealed>?,", path.read_text())}
        self.assertEqual(holders, {"people", "provisional", "subscriptions", "tickets"})
        self.assertEqual(unsealed & {"USER", "PENDING", "ATTEMPT", "TICKET", "SUBSCRIPTION"}, set())


if __name__ == "__main__":
    unittest.main()
