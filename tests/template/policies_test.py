"""Each function may do what it does in the scenarios, and nothing else.

The scenarios note which function makes which calls of AWS, for which kinds of partitions of the table, and which secrets it reads
(infra/local/src/aws/calls.rs), so they must have run before.
"""

from __future__ import annotations

import json
import pathlib
import re
import unittest

from cfnlint.decode.cfn_yaml import load

ROOT = pathlib.Path(__file__).parents[2]
CALLS = ROOT / "target/tmp/aws-calls"
SERVICES = {
    "Read": "dynamodb",
    "Write": "dynamodb",
    "Delete": "dynamodb",
    "Index": "dynamodb",
    "OpenIndex": "dynamodb",
    "Queue": "sqs",
    "Secret": "secretsmanager",
}
TABLE = ("Read", "Write", "Delete")
INDEXES = {"Index": "GSI1", "OpenIndex": "GSI2"}
# Lambda itself reads the queue with the sender's role, and writes every function's log.
NOT_OURS = {"Log", "Poller"}

NO_ROOM = "a change of an incident whose mark has no room for its cause any more is told in the ledger by whoever marks it"
LAST_TEAM = "a disconnection that broke off is finished by it; with the tenant's last team go the links of its people"
# Partitions that the code uses and no scenario: as (function, statement), with the reason.
UNSEEN = {
    ("admin-api", "Write"): {"LEDGER": NO_ROOM},
    ("bot-messages", "Write"): {"LEDGER": NO_ROOM},
    ("oauth-callback", "Write"): {
        "LEDGER": NO_ROOM,
        "SERVICE": "a subscription that PagerDuty does not delete, when a disconnection is finished, is taken into use again",
    },
    ("oauth-callback", "Read"): {"BEHIND": "a mark beside others, or one that wants a newer version, is read before it is changed"},
    ("reconciler", "Write"): {"LEDGER": NO_ROOM},
    ("reconciler", "Index"): {"LINKS": LAST_TEAM},
    ("reconciler", "Delete"): {"USER": LAST_TEAM},
}


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = load(str(ROOT / "template.yaml"))["Resources"]
        cls.functions = sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml"))
        cls.fields = json.loads((ROOT / "infra/secret-fields.json").read_text())

    def setUp(self):
        self.assertTrue(CALLS.is_dir(), "run the scenarios first: cargo test -p scenarios")

    @staticmethod
    def resource(function: str, kind: str) -> str:
        return "".join(word.capitalize() for word in function.split("-")) + kind

    def statements(self, function: str) -> dict[str, dict]:
        policy, *_ = self.resources[self.resource(function, "Role")]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        self.assertEqual(len({statement["Sid"] for statement in statements}), len(statements), function)
        return {statement["Sid"]: statement for statement in statements if statement["Sid"] not in NOT_OURS}

    def allowed(self, function: str) -> set[str]:
        allowed = set()
        for sid, statement in self.statements(function).items():
            if sid in TABLE:
                self.assertEqual(statement["Resource"], {"Fn::GetAtt": ["Table", "Arn"]}, function)
            if sid in INDEXES:
                self.assertEqual(statement["Resource"], {"Fn::Sub": "${Table.Arn}/index/" + INDEXES[sid]}, function)
            for action in statement["Action"]:
                service, name = action.split(":")
                self.assertEqual(service, SERVICES[sid], f"{function}: {sid}")
                resource = "Table" if sid in TABLE else sid
                self.assertNotIn(f"{resource}.{name}", allowed, "in two statements of one function")
                allowed.add(f"{resource}.{name}")
        return allowed

    def kinds(self, function: str, sid: str) -> set[str]:
        """The kinds of partitions for which a statement is."""
        statement = self.statements(function)[sid]
        self.assertEqual(set(statement["Condition"]), {"ForAllValues:StringLike"}, f"{function}: {sid}")
        [(key, patterns)] = statement["Condition"]["ForAllValues:StringLike"].items()
        self.assertEqual(key, "dynamodb:LeadingKeys")
        for pattern in patterns:
            self.assertRegex(pattern, r"^([A-Z]+#\*|HEALTH)$", f"{function}: {sid}")
        self.assertEqual(patterns, sorted(set(patterns)), f"{function}: {sid}")
        return {pattern.removesuffix("#*") for pattern in patterns}

    def used(self, function: str) -> dict[str, set[str]]:
        """What a function's calls were about, by the statement that must allow it."""
        statements = self.statements(function)
        used = {sid: set() for sid in statements if SERVICES[sid] == "dynamodb"}
        for noted in (CALLS / "keys" / function).iterdir():
            resource, action, kind = noted.name.split(".")
            candidates = TABLE if resource == "Table" else (resource,)
            [sid] = [s for s in candidates if s in used and f"dynamodb:{action}" in statements[s]["Action"]]
            used[sid].add(kind)
        return used

    def test_each_policy_allows_exactly_the_calls_of_the_scenarios(self):
        for function in self.functions:
            with self.subTest(function):
                made = {path.name for path in CALLS.glob(f"{function}/*")}
                # After a run of some scenarios only, calls are missing.
                self.assertEqual(made, self.allowed(function), "after cargo test -p scenarios, all of them")

    def test_each_policy_is_for_exactly_the_partitions_of_the_scenarios(self):
        for function in self.functions:
            for sid, used in self.used(function).items():
                with self.subTest(function=function, statement=sid):
                    unseen = set(UNSEEN.get((function, sid), {}))
                    self.assertEqual(unseen & used, set(), "a scenario uses it by now")
                    self.assertEqual(used | unseen, self.kinds(function, sid), "after cargo test -p scenarios, all of them")

    def test_every_kind_is_one_of_the_tables(self):
        keys = (ROOT / "shared/store/src/keys.rs").read_text()
        known = set(re.findall(r'"([A-Z]+)#', keys)) | {"HEALTH"}
        granted = {k for f in self.functions for sid in self.used(f) for k in self.kinds(f, sid)}
        self.assertEqual(granted - known, set())

    def test_nobody_may_do_what_has_no_key(self):
        # A condition on keys that has none to compare is fulfilled.
        for name, resource in self.resources.items():
            if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::Policy"):
                actions = re.findall(r"dynamodb:(\w+)", json.dumps(resource))
                self.assertEqual(set(actions) & {"Scan", "PartiQLSelect", "ExecuteStatement", "ExportTableToPointInTime"}, set(), name)
                self.assertNotIn("dynamodb:*", json.dumps(resource), name)

    def test_who_meets_people_and_sessions(self):
        # Not derived from anything: what the split is for.
        def may(kind):
            return {f for f in self.functions if any(kind in self.kinds(f, sid) for sid in self.used(f))}

        self.assertEqual(may("SESSION"), {"admin-api", "oauth-callback"})
        self.assertEqual(may("PENDING") | may("ATTEMPT"), {"oauth-callback"})
        self.assertEqual(may("TICKET"), {"bot-messages", "oauth-callback"})
        self.assertEqual(may("AUTHKEY"), {"bot-messages"})
        readers = {f for f in self.functions if "USER" in self.kinds(f, "Read")}
        self.assertEqual(readers, {"bot-messages", "oauth-callback"})
        self.assertEqual({f for f in self.functions if "APP" in self.kinds(f, "Write")}, {"oauth-callback"})
        for kind in ("USER", "TICKET", "SESSION", "PENDING", "ATTEMPT", "AUTHKEY"):
            for function in ("webhook-ingest", "notification-sender"):
                self.assertNotIn(function, may(kind))

    def test_the_architecture_says_who_may_read_what(self):
        page = (ROOT / "infra/docs/architecture.md").read_text()
        page = page[page.index("## Who may read what") :]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")]
        fields = ("teams_client_secret", "pagerduty_client_secret", "token_keys", "webhook_keys", "session_key")
        said = {row[0].strip("`"): [f for f, cell in zip(fields, row[1:], strict=True) if cell] for row in rows if len(row) == 6}
        self.assertEqual({f: sorted(has) for f, has in said.items()}, {f: sorted(has) for f, has in self.fields.items()})
        order = [self.resource(function, "") for function in said]
        may = {}
        for function in said:
            for sid in TABLE:
                for kind in self.kinds(function, sid) if sid in self.statements(function) else ():
                    may.setdefault(kind, {}).setdefault(self.resource(function, ""), []).append(sid[0].lower())
        expected = {kind: ["".join(of.get(function, "")) for function in order] for kind, of in may.items()}
        self.assertEqual({row[0].strip("`"): row[1:] for row in rows if len(row) == 7}, expected)

    def test_each_function_reads_its_own_secret_and_no_other(self):
        self.assertEqual(sorted(self.fields), self.functions)
        for function in self.functions:
            with self.subTest(function):
                read = {path.name for path in (CALLS / "secrets" / function).iterdir()}
                self.assertEqual(read, {f"pagerbridge-{function}"}, "in the scenarios each function has only its own fields")
                own = {"Fn::If": ["HasSecretPerFunction", {"Ref": self.resource(function, "Secret")}, {"Ref": "Secret"}]}
                self.assertEqual(self.statements(function)["Secret"]["Resource"], own)
                environment = self.resources[self.resource(function, "Function")]["Properties"]["Environment"]["Variables"]
                # A mistake in the list of addresses must stop no function that has no use for it.
                alone = {"PAGERBRIDGE_WEBHOOK_SOURCES"} if function == "webhook-ingest" else set()
                self.assertEqual(set(environment), {"PAGERBRIDGE_SECRET_ID"} | alone)
                self.assertEqual(environment["PAGERBRIDGE_SECRET_ID"], own)

    def test_no_function_has_what_it_has_no_use_for(self):
        # Not derived from anything: what the split is for.
        def have(field):
            return {function for function, fields in self.fields.items() if field in fields}

        self.assertEqual(have("token_keys"), {"bot-messages", "oauth-callback"})
        self.assertEqual(have("session_key"), {"admin-api", "oauth-callback"})
        self.assertEqual(have("webhook_keys"), {"webhook-ingest", "bot-messages", "admin-api", "reconciler"})
        self.assertEqual(have("teams_client_secret"), set(self.functions) - {"webhook-ingest"})


if __name__ == "__main__":
    unittest.main()
