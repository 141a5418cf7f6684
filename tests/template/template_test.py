"""What template.yaml must hold and cfn-lint does not see: that it fits the code, the documents and itself.

Runs with the Python of cfn-lint, whose YAML loader knows CloudFormation's short forms.
"""

from __future__ import annotations

import ipaddress
import json
import pathlib
import random
import re
import unittest

from cfnlint.decode.cfn_yaml import load

ROOT = pathlib.Path(__file__).parents[2]

# Whoever operates PagerBridge, and `local doctor`, read these.
OUTPUTS = {
    "PublicUrl", "MessagesEndpoint", "OAuthRedirectUrl", "ConfigurationPage", "TableName", "QueueUrl", "DeadLetterQueueUrl",
    "SecretArn", "DashboardUrl", "ReconcilerFunctionName",
    # infra/secrets copies to these.
    "WebhookIngestSecretArn", "BotMessagesSecretArn", "OauthCallbackSecretArn", "NotificationSenderSecretArn", "AdminApiSecretArn",
    "ReconcilerSecretArn",
}  # fmt: skip
CONFIG = "shared/runtime/src/config.rs"
# Variables that are not the product's own.
FOREIGN_VARIABLES = {"RUST_LOG"}
# Each function has its own.
OWN_VARIABLES = {"PAGERBRIDGE_SECRET_ID"}
# Only this function is told, so that a mistake in it stops no other.
TOLD_TO_ONE = {"WebhookIngestFunction": {"PAGERBRIDGE_WEBHOOK_SOURCES"}}
NONE = {"Ref": "AWS::NoValue"}
# Whoever calls us gives up after this many seconds.
API_LIMIT = 30
PAGERDUTY_LIMIT = 5
TEAMS_CLICK_LIMIT = 5
TEAMS_MESSAGE_LIMIT = 15
# Metrics that say how much there is, and not how often something has happened. The reconciler tells them.
GAUGES = {"OldestUnfinished", "Unfinished", "Parked", "NotHealing"}


def source(path: str) -> str:
    return (ROOT / path).read_text()


def seconds(path: str, constant: str) -> float:
    """A constant of type Duration or SignedDuration."""
    found = re.search(rf"\b{constant}: \w+ = \w+::from_(mins|secs|millis)\(([\d_]+)\)", source(path))
    assert found, f"{path} has no {constant}"
    return int(found[2].replace("_", "")) * {"mins": 60, "secs": 1, "millis": 0.001}[found[1]]


def text(path: str, constant: str) -> str:
    found = re.search(rf'\b{constant}: &str = "([^"]*)"', source(path))
    assert found, f"{path} has no {constant}"
    return found[1]


def crate(logical_id: str) -> str:
    """WebhookIngestFunction -> webhook-ingest"""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", logical_id.removesuffix("Function")).lower()


class Template(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = load(str(ROOT / "template.yaml"))
        cls.resources = cls.template["Resources"]
        cls.parameters = cls.template["Parameters"]
        cls.functions = {
            name: resource["Properties"]
            for name, resource in cls.resources.items()
            if resource["Type"] == "AWS::Serverless::Function"
        }
        cls.variables = cls.template["Globals"]["Function"]["Environment"]["Variables"]
        cls.dashboard = json.loads(cls.resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])

    def of_type(self, kind):
        return {n: r["Properties"] for n, r in self.resources.items() if r["Type"] == kind}

    def statements(self, function):
        role = self.functions[function]["Role"]["Fn::GetAtt"][0]
        policy, with_key = self.resources[role]["Properties"]["Policies"]
        self.assertEqual(with_key["Fn::If"][0], "HasKey")
        return policy["PolicyDocument"]["Statement"]

    def rounds(self):
        """The schedules of the reconciler by what they ask for: each with its interval in seconds."""
        found = {}
        for event in self.functions["ReconcilerFunction"]["Events"].values():
            properties = event["Properties"]
            minutes = int(re.fullmatch(r"rate\((\d+) minutes?\)", properties["Schedule"])[1])
            found[json.loads(properties["Input"])["round"]] = (60 * minutes, properties)
        return found

    # -- The functions

    def test_every_function_is_deployed_from_what_infra_build_makes(self):
        crates = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
        self.assertEqual({crate(name) for name in self.functions}, crates)
        for name, function in self.functions.items():
            self.assertEqual(function["CodeUri"], f"target/lambda/{crate(name)}/bootstrap.zip")

    def test_every_function_has_a_role_of_its_own_with_one_policy_for_what_it_does(self):
        roles = [function["Role"]["Fn::GetAtt"][0] for function in self.functions.values()]
        self.assertEqual(len(set(roles)), len(roles))
        for name, function in self.functions.items():
            # SAM ignores a function's own policies beside a role.
            self.assertNotIn("Policies", function)
            for statement in self.statements(name):
                with self.subTest(function=name, statement=statement["Sid"]):
                    keys = {"Condition"} if any(action.startswith("dynamodb:") for action in statement["Action"]) else set()
                    self.assertEqual(set(statement), {"Sid", "Effect", "Action", "Resource"} | keys)
                    for action in statement["Action"]:
                        self.assertRegex(action, r"^[a-z]+:[A-Za-z]+$")
                    self.assertIsInstance(statement["Resource"], dict, "one resource of this stack")

    def test_every_function_writes_to_its_own_log_which_ends(self):
        for name, function in self.functions.items():
            with self.subTest(function=name):
                group = function["LoggingConfig"]["LogGroup"]["Ref"]
                self.assertEqual(group, name.removesuffix("Function") + "LogGroup")
                self.assertEqual(function["LoggingConfig"]["LogFormat"], "Text")
                [log] = [s for s in self.statements(name) if s["Sid"] == "Log"]
                self.assertEqual(log["Resource"], {"Fn::GetAtt": [group, "Arn"]})
        for name, group in self.of_type("AWS::Logs::LogGroup").items():
            self.assertEqual(group["RetentionInDays"], {"Ref": "LogRetentionDays"}, name)

    def test_a_key_is_usable_by_whoever_needs_it(self):
        def roles(policy):
            return {role["Ref"] for role in self.resources[policy]["Properties"]["Roles"]}

        every = {function["Role"]["Fn::GetAtt"][0] for function in self.functions.values()}
        sends = {
            function["Role"]["Fn::GetAtt"][0]
            for name, function in self.functions.items()
            if any("sqs:SendMessage" in statement["Action"] for statement in self.statements(name))
        }
        self.assertEqual(roles("ReadWithKeyPolicy"), every)
        self.assertEqual(roles("SendWithKeyPolicy"), sends)

    def test_a_key_covers_the_environment_and_every_role_may_open_it_and_nothing_else_of_lambda(self):
        self.assertEqual(self.template["Globals"]["Function"]["KmsKeyArn"], {"Fn::If": ["HasKey", {"Ref": "KmsKeyArn"}, NONE]})
        for role, properties in self.of_type("AWS::IAM::Role").items():
            with self.subTest(role):
                condition, policy, otherwise = properties["Policies"][1]["Fn::If"]
                self.assertEqual((condition, otherwise), ("HasKey", NONE))
                [statement] = policy["PolicyDocument"]["Statement"]
                self.assertEqual(statement["Action"], ["kms:Decrypt"])
                self.assertEqual(statement["Resource"], {"Ref": "KmsKeyArn"})
                [(operator, keys)] = statement["Condition"].items()
                [(key, arns)] = keys.items()
                # Lambda names the function to KMS whenever it opens an environment, and no service that it calls by.
                self.assertEqual((operator, key), ("StringLike", "kms:EncryptionContext:aws:lambda:FunctionArn"))
                self.assertRegex(arns["Fn::Sub"], r"^arn:\$\{AWS::Partition\}:lambda:.*:\$\{AWS::AccountId\}:function:\*$")

    def test_every_role_can_have_a_boundary(self):
        roles = self.of_type("AWS::IAM::Role")
        self.assertEqual(len(roles), len(self.functions))
        for role, properties in roles.items():
            boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, NONE]}
            self.assertEqual(properties["PermissionsBoundary"], boundary, role)
        # A role that SAM makes by itself would have none.
        for function in self.functions.values():
            self.assertIn("Role", function)

    # -- The secrets

    def test_the_secret_with_everything_keeps_its_value(self):
        # CloudFormation would replace the value after any change of this.
        self.assertEqual(
            self.resources["Secret"]["Properties"]["GenerateSecretString"],
            {
                "SecretStringTemplate": '{"teams_client_secret": "", "pagerduty_client_secret": "", "token_keys": []}',
                "GenerateStringKey": "session_key",
                "PasswordLength": 64,
                "ExcludePunctuation": True,
            },
        )

    def test_each_function_has_a_secret_of_its_own_without_a_value(self):
        secrets = self.of_type("AWS::SecretsManager::Secret")
        own = {name.replace("Function", "Secret"): crate(name) for name in self.functions}
        self.assertEqual(set(secrets), {"Secret", *own})
        fields = json.loads(source("infra/secret-fields.json"))
        self.assertEqual(sorted(fields), sorted(own.values()))
        for secret, function in own.items():
            with self.subTest(secret):
                # What CloudFormation never had it cannot put back.
                self.assertEqual(set(secrets[secret]), {"Description", "KmsKeyId"})
                self.assertEqual(secrets[secret]["KmsKeyId"], secrets["Secret"]["KmsKeyId"])
                self.assertIn(function, secrets[secret]["Description"])
                self.assertEqual(self.template["Outputs"][secret + "Arn"]["Value"], {"Ref": secret})
                # Copies: what counts is in the secret with everything.
                self.assertEqual(self.resources[secret]["DeletionPolicy"], "Delete")

    def test_the_fields_of_the_secrets_are_those_that_the_program_knows(self):
        rust = source("shared/runtime/src/secrets.rs")
        known = set(re.findall(r"^    (\w+): Option<", rust[rust.index("struct Document {") :].split("}")[0], re.MULTILINE))
        self.assertEqual({field for fields in json.loads(source("infra/secret-fields.json")).values() for field in fields}, known)

    def test_an_update_from_one_secret_is_refused_until_somebody_decides(self):
        # With a default, it would point the functions to secrets that nobody has filled.
        self.assertNotIn("Default", self.parameters["SecretPerFunction"])
        self.assertEqual(self.parameters["SecretPerFunction"]["AllowedValues"], ["true", "false"])
        condition = {"Fn::Equals": [{"Ref": "SecretPerFunction"}, "true"]}
        self.assertEqual(self.template["Conditions"]["HasSecretPerFunction"], condition)

    # -- The configuration

    def test_the_environment_is_what_the_program_reads(self):
        rust = source(CONFIG)
        table = rust[rust.index("VARIABLES: &[Variable]") :]
        table = table[: table.index("];")]
        # Some have their name from a constant.
        table = re.sub(r"optional\(\s*([A-Z_]+)\b", lambda name: f'optional("{text(CONFIG, name[1])}"', table)
        known = dict(re.findall(r'(?:required|optional)\(\s*"(\w+)",\s*"([^"]*)"', table))
        required = set(re.findall(r'required\(\s*"(\w+)"', table))
        self.assertEqual(len(known), len(re.findall(r"\b(?:required|optional)\(", table)), "every line is understood")
        self.assertEqual(set(self.variables) - FOREIGN_VARIABLES, set(known) - OWN_VARIABLES - set().union(*TOLD_TO_ONE.values()))
        for name, function in self.functions.items():
            self.assertEqual(set(function["Environment"]["Variables"]), OWN_VARIABLES | TOLD_TO_ONE.get(name, set()), name)
        for name, value in self.variables.items():
            parameter = self.parameters.get(value.get("Ref"), {}) if isinstance(value, dict) else {}
            if name in known and name not in required and "Default" in parameter:
                self.assertEqual(str(parameter["Default"]), known[name], f"default of {name}")

    def test_a_threshold_has_the_range_that_the_program_checks(self):
        checked = re.findall(r"env\.number\((\w+), (\d+), (\d+)\.\.=(\d+), \"([^\"]*)\"\)", source(CONFIG))
        self.assertEqual(len(checked), 5)
        for constant, default, least, most, expected in checked:
            parameter = self.parameters[self.variables[text(CONFIG, constant)]["Ref"]]
            with self.subTest(constant):
                self.assertEqual(parameter["Type"], "Number")
                numbers = [parameter[key] for key in ("Default", "MinValue", "MaxValue")]
                self.assertEqual(numbers, [int(default), int(least), int(most)])
                self.assertEqual(parameter["ConstraintDescription"], f"must be {expected}")

    def test_every_parameter_is_explained(self):
        interface = self.template["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(self.parameters))
        self.assertEqual(set(interface["ParameterLabels"]), set(self.parameters))
        body = json.dumps([self.template[part] for part in ("Globals", "Conditions", "Resources")])
        used = set(re.findall(r'"Ref": "(\w+)"|\$\{(\w+)\}', body))
        used = {name for pair in used for name in pair}
        for name, parameter in self.parameters.items():
            with self.subTest(parameter=name):
                self.assertTrue(parameter["Description"])
                self.assertTrue("AllowedValues" in parameter or parameter.get("ConstraintDescription"))
                if "AllowedPattern" in parameter:
                    self.assertTrue(parameter["AllowedPattern"].startswith("^"), "anchored")
                    if "Default" in parameter:
                        self.assertRegex(parameter["Default"], parameter["AllowedPattern"])
                self.assertTrue(name in used, "not used")

    def test_patterns_take_what_is_right_and_nothing_else(self):
        guid = "00000000-0000-0000-0000-000000000000"
        for name, right, wrong in [
            ("TeamsAppId", [guid], ["", "app", guid + "0"]),
            ("TeamsAllowedTenants", ["", guid, f"{guid},{guid}", f"{guid}, {guid}"], [f"{guid} {guid}", "contoso.com"]),
            ("TeamsServiceUrlHosts", ["smba.trafficmanager.net", "a.example,b.example"], ["https://a.example", "*.example", ""]),
            ("TeamsTokenUrl", ["", "https://login.example/t/oauth2/v2.0/token"], ["http://login.example", "https://l.example/?a"]),
            ("TeamsTokenScope", ["https://api.botframework.us/.default"], ["https://api.botframework.us"]),
            ("PagerDutySubdomain", ["acme", "acme-eu2"], ["acme.pagerduty.com", "acme.eu", ""]),
            ("TopPriorities", ["P1", "P1,SEV1,SEV-1", "Sev A, P0"], ["", " ", ",", "P1,", ",P1", "P1,,P2", "P1, "]),
            ("AlarmEmail", ["", "ops@example.com"], ["ops", "ops@example"]),
            ("CustomDomainName", ["", "bridge.example.com"], ["https://bridge.example.com", "bridge", "bridge.example.com/"]),
            ("KmsKeyArn", ["", f"arn:aws:kms:eu-central-1:000000000000:key/{guid}"], ["alias/a", guid]),
            ("PermissionsBoundaryArn", ["", "arn:aws:iam::000000000000:policy/team/boundary", "arn:aws:iam::aws:policy/Managed"],
             ["boundary", "arn:aws:iam::000000000000:role/boundary"]),
            ("WebhookReservedConcurrency", ["none", "20"], ["0", "", "-1"]),
            ("PagesReservedConcurrency", ["none", "5"], ["0", "", "-1"]),
            (
                "WebhookSources",
                ["", "192.0.2.7", "192.0.2.7,198.51.100.0/24", "2001:db8::/32, ::1", "192.0.2.7, 2001:db8::1", "::/0,1::,1:2:3:4:5:6:7:8/128"],
                [",", "192.0.2.7,", "192.0.2.7 198.51.100.0", "webhooks.pagerduty.com", "192.0.2", "192.0.2.7:443", "all", "192.0.2.256", "192.0.2.0/33", "2001:db8::/129",
                 "2001:db8:/32", "1:2", "2001::db8::/32", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", ":", ":::", "12345::", "::g", ":1", "1:",
                 "::1,", "::1, ", ", ::1", "::1,,::2", "::1::2", "192.0.2.7\n", "::ffff:192.0.2.7"],
            ),
        ]:  # fmt: skip
            pattern = re.compile(self.parameters[name]["AllowedPattern"])
            for value in right:
                self.assertTrue(pattern.fullmatch(value), f"{name}: {value}")
            for value in wrong:
                self.assertFalse(pattern.fullmatch(value), f"{name}: {value}")

    def test_whatever_sources_the_pattern_takes_are_addresses_or_ranges(self):
        pattern = re.compile(self.parameters["WebhookSources"]["AllowedPattern"])
        random_ = random.Random(1)
        taken = 0
        for _ in range(200_000):
            parts = random_.choices(["1", "db8", "ffff", "0", ":", ":", ":", "::", "."], k=random_.randint(1, 17))
            entry = "".join(parts) + random_.choice(["", "", "/0", "/32", "/128", "/129"])
            read = True
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError:
                read = False
            is_taken = pattern.fullmatch(entry) is not None
            self.assertEqual(is_taken, read and ("." not in entry or ":" not in entry), entry)
            taken += is_taken and ":" in entry
        self.assertGreater(taken, 1_000)

    # -- How things fit each other

    def test_timeouts_fit_each_other(self):
        timeout = {name: function["Timeout"] for name, function in self.functions.items()}
        queue = self.resources["Queue"]["Properties"]
        aws = [seconds("shared/runtime/src/aws.rs", f"{name}_TIMEOUT") for name in ("ATTEMPT", "OPERATION")]
        webhook = seconds("functions/webhook-ingest/src/lib.rs", "BUDGET")
        click = seconds("functions/bot-messages/src/lib.rs", "CLICK_BUDGET")
        message = seconds("functions/bot-messages/src/lib.rs", "MESSAGE_BUDGET")
        held = seconds("shared/runtime/src/once.rs", "HOLD")
        sender = timeout["NotificationSenderFunction"]
        # Each is shorter than the next.
        for ladder in (
            [*aws, webhook, PAGERDUTY_LIMIT, timeout["WebhookIngestFunction"]],
            [aws[1], click, TEAMS_CLICK_LIMIT],
            # PagerDuty's last answer comes before the click's own limit, and a question to it before the webhook's.
            [seconds("functions/bot-messages/src/lib.rs", "AFTER_PAGERDUTY"), click],
            [seconds("functions/webhook-ingest/src/unread.rs", "ASK_BUDGET"), webhook],
            [message, TEAMS_MESSAGE_LIMIT, timeout["BotMessagesFunction"]],
            [timeout["AdminApiFunction"], API_LIMIT, seconds("shared/setup/src/lock.rs", "OF_SERVICE")],
            [seconds("shared/pagerduty/src/oauth.rs", "TIMEOUT"), timeout["OauthCallbackFunction"], API_LIMIT],
            [
                seconds("shared/teams/src/connector.rs", "DEFAULT_TIMEOUT"),
                seconds("functions/notification-sender/src/lib.rs", "STEP_BUDGET"),
                sender,
            ],
        ):
            self.assertEqual(ladder, sorted(set(ladder)))
        # What a message has begun is held until the function has surely ended.
        self.assertLessEqual(timeout["BotMessagesFunction"], held)
        self.assertGreaterEqual(queue["VisibilityTimeout"], 6 * sender)
        # A sender that dies silences its channel for 75 s at most.
        self.assertEqual(sender + seconds("functions/notification-sender/src/lib.rs", "SURELY_ENDED"), 75)
        for integration in self.of_type("AWS::ApiGatewayV2::Integration").values():
            self.assertLess(timeout[integration["IntegrationUri"]["Fn::GetAtt"][0]], API_LIMIT)

    def test_the_reconciler_runs_every_minute_and_sees_for_itself_what_is_due(self):
        rounds = self.rounds()
        self.assertEqual({name: interval for name, (interval, _) in rounds.items()}, {"due": 60})
        work, lock, reserve = (seconds("functions/reconciler/src/lib.rs", name) for name in ("WORK", "LOCK", "RESERVE"))
        # A run that was killed keeps no other one from working, and one that hangs has time to note what it has done.
        self.assertEqual(sorted([work, lock, 60]), [work, lock, 60])
        self.assertGreater(self.functions["ReconcilerFunction"]["Timeout"], work + 2 * reserve)
        for interval, schedule in rounds.values():
            self.assertEqual(schedule["State"], {"Fn::If": ["RunsReconciler", "ENABLED", "DISABLED"]})
            # The next one does the same.
            self.assertEqual(schedule["RetryPolicy"]["MaximumRetryAttempts"], 0)
            self.assertLessEqual(schedule["RetryPolicy"]["MaximumEventAgeInSeconds"], interval)
        # Else a run that hangs would keep the next ones away.
        self.assertNotIn("ReservedConcurrentExecutions", self.functions["ReconcilerFunction"])

    def test_the_alarms_see_each_run(self):
        alarms = self.of_type("AWS::CloudWatch::Alarm")
        often = min(interval for interval, _ in self.rounds().values())
        span = {name: self.period(alarm) * alarm["EvaluationPeriods"] for name, alarm in alarms.items()}
        # A run may be late by nearly its interval.
        self.assertGreaterEqual(span["ReconcilerSilentAlarm"], 2 * often)
        self.assertGreaterEqual(span["ParkedAlarm"], often)
        late = alarms["OldestUnfinishedAlarm"]
        self.assertGreater(span["OldestUnfinishedAlarm"], (late["DatapointsToAlarm"] - 1) * often)
        # Lambda tells of an error for the minute in which the invocation began.
        longest = max(function["Timeout"] for function in self.functions.values())
        self.assertGreater(span["FunctionErrorsAlarm"], longest)

    @staticmethod
    def period(alarm):
        [period] = {metric["MetricStat"]["Period"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric} or {alarm["Period"]}
        return period

    def test_a_sender_gets_one_channel(self):
        sender = self.functions["NotificationSenderFunction"]
        [queue] = [event["Properties"] for event in sender["Events"].values()]
        self.assertEqual(queue["BatchSize"], 1)
        self.assertNotIn("MaximumBatchingWindowInSeconds", queue)
        self.assertEqual(queue["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        local = re.search(r"max_number_of_messages\((\d+)\)", source("infra/local/src/pump.rs"))
        self.assertEqual(int(local[1]), queue["BatchSize"], "the local stack")
        self.assertNotIn("ReservedConcurrentExecutions", sender, "what it refuses counts as a receive")

    def test_program_and_local_stack_have_the_same_queue_and_timeout(self):
        queue = self.resources["Queue"]["Properties"]
        local = source("infra/local/src/environment.rs")
        receives = re.search(r"MAX_RECEIVES: u32 = (\d+);", source("shared/runtime/src/queue.rs"))
        self.assertEqual(int(receives[1]), queue["RedrivePolicy"]["maxReceiveCount"])
        visibility = re.search(r'QueueAttributeName::VisibilityTimeout, "(\d+)"', local)
        self.assertEqual(int(visibility[1]), queue["VisibilityTimeout"])
        timeout = self.functions["NotificationSenderFunction"]["Timeout"]
        self.assertEqual(seconds("infra/local/src/pump.rs", "FUNCTION_TIMEOUT"), timeout)

    def test_the_dead_letter_queue_belongs_to_the_queue(self):
        queue, dead = (self.resources[name]["Properties"] for name in ("Queue", "DeadLetterQueue"))
        self.assertEqual(queue["RedrivePolicy"]["deadLetterTargetArn"], {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]})
        [allowed] = dead["RedriveAllowPolicy"]["sourceQueueArns"]
        self.assertTrue(allowed["Fn::Sub"].endswith(":" + queue["QueueName"]["Fn::Sub"]))
        for each in (queue, dead):
            self.assertIs(each["FifoQueue"], True)
            self.assertTrue(each["QueueName"]["Fn::Sub"].endswith(".fifo"))
        self.assertGreaterEqual(dead["MessageRetentionPeriod"], queue["MessageRetentionPeriod"])

    def test_the_table_has_the_shape_that_the_store_expects(self):
        table = self.resources["Table"]["Properties"]
        shape = "shared/store/src/table.rs"
        pk, sk, index, index_pk, index_sk, expires_at = (
            text(shape, name) for name in ("PK", "SK", "INDEX", "INDEX_PK", "INDEX_SK", "EXPIRES_AT")
        )
        slim, slim_pk, slim_sk, status, service = (
            text(shape, name) for name in ("OPEN_INDEX", "OPEN_PK", "OPEN_SK", "STATUS", "SERVICE")
        )

        def schema(hash_name, range_name):
            return [
                {"AttributeName": hash_name, "KeyType": "HASH"},
                {"AttributeName": range_name, "KeyType": "RANGE"},
            ]

        self.assertEqual(table["KeySchema"], schema(pk, sk))
        projected = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [status, service]}
        expected = [
            {"IndexName": index, "KeySchema": schema(index_pk, index_sk), "Projection": {"ProjectionType": "ALL"}},
            {"IndexName": slim, "KeySchema": schema(slim_pk, slim_sk), "Projection": projected},
        ]
        self.assertEqual(table["GlobalSecondaryIndexes"], expected)
        self.assertIn("ProjectionType::All", source(shape))
        self.assertIn("ProjectionType::Include", source(shape))
        self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": expires_at, "Enabled": True})
        self.assertEqual(
            {definition["AttributeName"] for definition in table["AttributeDefinitions"]},
            {pk, sk, index_pk, index_sk, slim_pk, slim_sk},
        )

    def test_what_cannot_be_made_again_outlives_the_stack(self):
        for resource in ("Table", "Secret"):
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                self.assertIn(self.resources[resource][policy], ("Retain", "RetainExceptOnCreate"), resource)

    def test_routes_lead_to_the_function_that_serves_them(self):
        integrations = {
            f"integrations/${{{name}}}": crate(properties["IntegrationUri"]["Fn::GetAtt"][0])
            for name, properties in self.of_type("AWS::ApiGatewayV2::Integration").items()
        }
        routes = {}
        for properties in self.of_type("AWS::ApiGatewayV2::Route").values():
            method, path = properties["RouteKey"].split(" ")
            pattern = re.compile(re.escape(path).replace(re.escape("{proxy+}"), ".*"))
            routes[method, pattern] = integrations[properties["Target"]["Fn::Sub"]]
        used = set()
        for function in set(integrations.values()):
            served = re.findall(r'\.route\("([^"]+)", (get|post)\(', source(f"functions/{function}/src/lib.rs"))
            self.assertTrue(served, function)
            for path, method in served:
                matching = {
                    key: target
                    for key, target in routes.items()
                    if key[0] in ("ANY", method.upper()) and key[1].fullmatch(path)
                }
                self.assertEqual(set(matching.values()), {function}, f"{method} {path}")
                used |= set(matching)
        self.assertEqual(used, set(routes), "a route that no function serves")

    def test_webhooks_and_teams_have_throttles_that_no_other_route_uses_up(self):
        stage = self.resources["HttpApiStage"]
        limits = {"ThrottlingRateLimit": "Rate", "ThrottlingBurstLimit": "Burst"}
        of_route = {"POST /webhooks/pagerduty": "WebhookThrottling", "POST /api/messages": "BotThrottling"}

        def settings(prefix):
            return {limit: {"Ref": prefix + suffix} for limit, suffix in limits.items()}

        self.assertEqual(stage["Properties"]["DefaultRouteSettings"], settings("Throttling"))
        self.assertEqual(stage["Properties"]["RouteSettings"], {key: settings(prefix) for key, prefix in of_route.items()})
        # Their settings are refused before the routes are there.
        routes = {name: route["RouteKey"] for name, route in self.of_type("AWS::ApiGatewayV2::Route").items()}
        self.assertEqual({routes[name] for name in stage["DependsOn"]}, set(of_route))
        # What anybody may ask for gets less than what incidents need, and together they stay far below the region's 10,000.
        rates = [self.parameters[prefix + "Rate"]["Default"] for prefix in ("Throttling", "BotThrottling", "WebhookThrottling")]
        self.assertEqual(rates, sorted(set(rates)))
        self.assertLess(sum(rates), 1000)
        for prefix in ("Throttling", *of_route.values()):
            self.assertGreaterEqual(self.parameters[prefix + "Burst"]["Default"], self.parameters[prefix + "Rate"]["Default"])

    def test_each_function_that_strangers_can_ask_can_be_limited(self):
        limits = {
            name: function.get("ReservedConcurrentExecutions", {}).get("Fn::If", [None])[0]
            for name, function in self.functions.items()
        }
        expected = {
            "WebhookIngestFunction": "HasWebhookReservation",
            "BotMessagesFunction": "HasBotReservation",
            "OauthCallbackFunction": "HasPagesReservation",
            "AdminApiFunction": "HasPagesReservation",
            # Nobody outside can call these.
            "NotificationSenderFunction": None,
            "ReconcilerFunction": None,
        }
        self.assertEqual(limits, expected)
        asked = {p["IntegrationUri"]["Fn::GetAtt"][0] for p in self.of_type("AWS::ApiGatewayV2::Integration").values()}
        self.assertEqual(asked, {name for name, limit in expected.items() if limit})

    def test_the_apis_own_address_is_open_until_the_operator_closes_it_and_never_the_only_one(self):
        self.assertEqual(self.resources["HttpApi"]["Properties"]["DisableExecuteApiEndpoint"], {"Ref": "CloseExecuteApi"})
        self.assertEqual(self.parameters["CloseExecuteApi"]["Default"], "false")
        rule = self.template["Rules"]["CloseAndDomain"]
        self.assertEqual(rule["RuleCondition"], {"Fn::Equals": [{"Ref": "CloseExecuteApi"}, "true"]})
        [assertion] = rule["Assertions"]
        self.assertEqual(assertion["Assert"], {"Fn::Not": [{"Fn::Equals": [{"Ref": "CustomDomainName"}, ""]}]})

    def test_no_address_of_pagerduty_is_written_down(self):
        self.assertEqual(self.parameters["WebhookSources"]["Default"], "")
        alarm = self.resources["WebhooksFromElsewhereAlarm"]
        self.assertEqual(alarm["Condition"], "HasWebhookSources")

    def test_the_access_log_is_json_and_tells_no_secret(self):
        log = self.resources["HttpApiStage"]["Properties"]["AccessLogSettings"]["Format"]
        values = json.loads(log).values()
        self.assertNotIn("\n", log)
        for word in ("path", "query", "authorizer", "header"):
            self.assertNotIn(word, " ".join(values).lower())

    # -- What operators see

    def metrics(self):
        """(namespace, name, dimension, value) of every alarm and of the dashboard."""
        for alarm in self.of_type("AWS::CloudWatch::Alarm").values():
            single = [alarm] if "MetricName" in alarm else []
            listed = [metric["MetricStat"]["Metric"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
            for metric in single + listed:
                [dimension] = metric["Dimensions"]
                [value] = dimension["Value"].values()
                yield metric["Namespace"], metric["MetricName"], dimension["Name"], value if isinstance(value, str) else value[0]
        for widget in self.dashboard["widgets"]:
            for namespace, name, dimension, value, *_ in widget["properties"].get("metrics", []):
                yield namespace, name, dimension, value.strip("${}").split(".")[0]

    def test_every_metric_is_counted_by_the_program(self):
        sources = [path for folder in ("functions", "shared") for path in (ROOT / folder).glob("*/src/**/*.rs")]
        words = {word for path in sources for word in re.findall(r'"([A-Z][A-Za-z]+)"', path.read_text())}
        counted = set()
        for namespace, name, dimension, value in self.metrics():
            if namespace == "PagerBridge":
                counted.add(name)
                self.assertEqual(dimension, "FunctionName", name)
            self.assertIn(value, self.functions if dimension == "FunctionName" else self.resources, name)
        self.assertEqual(counted - words, set(), "in no source file")

    def test_of_a_gauge_the_highest_is_looked_at(self):
        seen = set()
        for name, alarm in self.of_type("AWS::CloudWatch::Alarm").items():
            if alarm.get("MetricName") in GAUGES:
                self.assertEqual(alarm["Statistic"], "Maximum", name)
            for metric in (query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query):
                if metric["Metric"]["MetricName"] in GAUGES:
                    self.assertEqual(metric["Stat"], "Maximum", name)
        for widget in self.dashboard["widgets"]:
            for _, name, _, _, *more in widget["properties"].get("metrics", []):
                if name in GAUGES:
                    seen.add(name)
                    stat = (more[0] if more else {}).get("stat", widget["properties"]["stat"])
                    self.assertEqual(stat, "Maximum", name)
        self.assertEqual(seen, GAUGES, "on the dashboard")
        tellers = {value for _, name, _, value in self.metrics() if name in GAUGES}
        self.assertEqual(tellers, {"ReconcilerFunction"})

    def test_the_dashboard_has_neither_gaps_nor_overlapping_widgets(self):
        taken = set()
        for widget in self.dashboard["widgets"]:
            cells = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            self.assertFalse(taken & cells, widget["properties"]["title"])
            self.assertLessEqual(widget["x"] + widget["width"], 24)
            taken |= cells
        self.assertEqual(len(taken), 24 * (1 + max(y for _, y in taken)), "a gap")

    def test_every_alarm_tells_somebody_and_says_what_silence_means(self):
        target = [
            {"Fn::If": ["HasAlarmEmail", {"Ref": "AlarmTopic"}, {"Ref": "AWS::NoValue"}]},
            {"Fn::If": ["HasAlarmTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AWS::NoValue"}]},
        ]
        for name, alarm in self.of_type("AWS::CloudWatch::Alarm").items():
            with self.subTest(alarm=name):
                self.assertEqual(alarm["AlarmActions"], target)
                self.assertEqual(alarm["OKActions"], target)
                self.assertIn(alarm["TreatMissingData"], ("notBreaching", "breaching", "ignore"))
                self.assertIn(name, alarm["AlarmDescription"])

    def test_every_alarm_has_a_section_in_the_manual_and_every_section_an_alarm(self):
        manual = source("infra/docs/operations.md")
        headings = set(re.findall(r"^#+ `?(\w+Alarm)`?\b", manual, re.MULTILINE))
        self.assertEqual(headings, set(self.of_type("AWS::CloudWatch::Alarm")))

    def test_the_outputs_are_what_others_rely_on(self):
        self.assertEqual(set(self.template["Outputs"]), OUTPUTS)


if __name__ == "__main__":
    unittest.main()
