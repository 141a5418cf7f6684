"""Each function may do what it does in the scenarios, and nothing else.

The scenarios note which function makes which calls of AWS (infra/local/src/aws/calls.rs), so they must have run before.
"""

from __future__ import annotations

import pathlib
import unittest

from cfnlint.decode.cfn_yaml import load

ROOT = pathlib.Path(__file__).parents[2]
CALLS = ROOT / "target/tmp/aws-calls"
SERVICES = {"Table": "dynamodb", "Index": "dynamodb", "OpenIndex": "dynamodb", "Queue": "sqs", "Secret": "secretsmanager"}
INDEXES = {"Index": "GSI1", "OpenIndex": "GSI2"}
# Lambda itself reads the queue with the sender's role, and writes every function's log.
NOT_OURS = {"Log", "Poller"}


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = load(str(ROOT / "template.yaml"))["Resources"]

    def allowed(self, function: str) -> set[str]:
        role = "".join(word.capitalize() for word in function.split("-")) + "Role"
        [policy] = self.resources[role]["Properties"]["Policies"]
        allowed = set()
        for statement in policy["PolicyDocument"]["Statement"]:
            sid = statement["Sid"]
            if sid in NOT_OURS:
                continue
            if sid in INDEXES:
                self.assertEqual(statement["Resource"], {"Fn::Sub": "${Table.Arn}/index/" + INDEXES[sid]}, function)
            for action in statement["Action"]:
                service, name = action.split(":")
                self.assertEqual(service, SERVICES[sid], f"{function}: {sid}")
                allowed.add(f"{sid}.{name}")
        return allowed

    def test_each_policy_allows_exactly_the_calls_of_the_scenarios(self):
        functions = sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml"))
        self.assertTrue(CALLS.is_dir(), "run the scenarios first: cargo test -p scenarios")
        for function in functions:
            with self.subTest(function):
                made = {path.name for path in CALLS.glob(f"{function}/*")}
                # After a run of some scenarios only, calls are missing.
                self.assertEqual(made, self.allowed(function), "after cargo test -p scenarios, all of them")


if __name__ == "__main__":
    unittest.main()
