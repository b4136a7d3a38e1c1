"""Nothing is missing in the documentation: commands, settings, limits, keys, columns, codes, links."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from deployments.cli.app import app
from deployments.sandbox.faults import FAULTS
from deployments.sandbox.server import SandboxSettings
from deployments.stack.deploy import SILENCE, START_GRACE
from deployments.stack.environment import PREFECT_DEFAULTS
from deployments.stack.retry_when_locked import LARGEST_BODY_BYTES
from models.blocks import OWN_FIELDS, CountryFilter, Integration, Status
from models.errors import ExitCode
from models.forms import ManualImport
from models.fulfillers import KINDS, own_fields
from models.orders import NewItem, NewOrder
from models.reports import MAX_EXAMPLES, Outcome
from models.rules import RulesFile
from models.settings import Environment
from models.tables import metadata
from models.tables.orders import FIRST_FOLDERS, NEEDS_ATTENTION
from models.tables.runs import RunState
from tasks.desk.engine import BUSY_TIMEOUT_SECONDS
from tasks.desk.export import exported_item, exported_order
from tasks.desk.leases import RENEW_EVERY_SECONDS, TERM
from tasks.fulfilment.channels import orderdesk, webhook
from tasks.imports.extract import BATCH_SIZES, LARGEST_WHILE_WAITING, extract_orders
from tasks.imports.load import MAX_ATTENTION, load_orders
from tasks.imports.prints import PRINT_KEYS
from tasks.imports.windows import OVERLAP
from tasks.podos import paging, retry
from tasks.podos.client import (
    IDS_PER_REQUEST,
    MAX_ANSWER_BYTES,
    SLOWEST_ANSWER_SECONDS,
    ListQuery,
    PodosClient,
)
from tasks.podos.scan import Scan
from tasks.rules.patterns import MAX_MEMORY, MAX_TEXT
from tasks.rules.yaml_lines import MAX_CHARACTERS, MAX_DEPTH, MAX_FILE_BYTES
from tasks.tracking.headers import COLUMNS, KNOWN_HEADERS
from tasks.tracking.shipment_file import MAX_COLUMNS, MAX_ROWS
from tasks.tracking.shipment_file import MAX_FILE_BYTES as MAX_CSV_BYTES
from tasks.tracking.tables import MAX_LINE_CHARACTERS
from tasks.tracking.workbooks import MAX_CELLS, MAX_UNPACKED_BYTES
from tests.support.commands_page import commands_page
from tests.support.documentation import (
    PAGES,
    ROOT,
    anchors,
    code_blocks,
    codes,
    everything,
    examples,
    links,
    page,
    rows,
    section,
    shell_commands,
)

KNOWN_HOSTS = {"127.0.0.1", "api.podos.io", "keepachangelog.com", "semver.org"}
"""Besides example.test, which is nobody's."""
PLACES = {"api", "etc", "opt", "srv", "v1", "var"}
"""First parts of the absolute paths that a page may name: places of a server, and of HTTP calls."""


def commands() -> Iterator[tuple[str, set[str]]]:
    """Give every command of the program with its options."""
    yield from _below(typer.main.get_command(app), "desk")


def _below(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if path != "desk":
        named = (name for param in command.params for name in (*param.opts, *param.secondary_opts))
        yield path, {name for name in named if name.startswith("--")}
    for name, subcommand in subcommands.items():
        yield from _below(subcommand, f"{path} {name}")


COMMANDS = dict(commands())


def documented_commands() -> dict[str, str]:
    """Return the table rows of commands, by command, of all pages."""
    found = {}
    for path in PAGES:
        for cells in rows(path.read_text("utf-8")):
            for code in codes(cells[0])[:1]:
                words = [word for word in code.split() if word == word.lower() and word[0].isalpha()]
                if words[:1] == ["desk"]:
                    found[" ".join(words)] = " ".join(cells[1:])
    return found


def test_the_page_of_commands_is_what_the_program_says() -> None:
    assert page("docs/commands.md") == commands_page(), "make commands"


def test_only_commands_that_exist_are_documented() -> None:
    assert set(documented_commands()) <= set(COMMANDS)
    for command, row in documented_commands().items():
        assert set(re.findall(r"--[a-z0-9-]+", row)) <= COMMANDS[command], command


def test_every_exit_code_is_documented() -> None:
    documented = [cells[0] for cells in rows(section(page("README.md"), "Exit codes"))]
    assert [str(code.value) for code in ExitCode] == documented[2:]


def settings_rows() -> dict[str, list[str]]:
    table = rows(section(page("docs/settings.md"), "Of an integration"))
    return {codes(cells[1])[0]: cells for cells in table if codes(cells[1])}


def fields_of_an_integration() -> dict[str, Any]:
    fields = {name: field for name, field in Integration.model_fields.items() if name in OWN_FIELDS}
    nested = {f"country_filter.{name}": field for name, field in CountryFilter.model_fields.items()}
    fields.pop("country_filter")
    return fields | nested


def test_every_setting_is_documented_under_its_title() -> None:
    documented, fields = settings_rows(), fields_of_an_integration()
    assert {name: cells[0].removeprefix("Country Filter: ") for name, cells in documented.items()} == {
        name: field.title for name, field in fields.items()
    }


def test_the_documented_defaults_are_the_settings_defaults() -> None:
    words: dict[object, str] = {True: "on", False: "off", None: "from the beginning", "": "empty"}
    for name, field in fields_of_an_integration().items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, list):
            default = ", ".join(default) or ""
        if isinstance(default, dict):
            default = ", ".join(default) or ""
        expected = "none, must be given" if field.is_required() else words.get(default, f"`{default}`")
        assert settings_rows()[name][3] == expected, name


def test_every_status_is_documented() -> None:
    assert codes(settings_rows()["statuses"][4]) == [status.value for status in Status]


def test_every_option_of_connect_is_documented_with_its_setting() -> None:
    documented = {
        name for cells in settings_rows().values() for name in re.findall(r"--[a-z0-9-]+", cells[2])
    }
    assert documented == COMMANDS["desk connect"] - {"--json"}


def test_every_setting_is_in_the_readme() -> None:
    readme = section(page("README.md"), "Settings")
    titles = {str(field.title) for name, field in Integration.model_fields.items() if name in OWN_FIELDS}
    assert [title for title in titles - {"Authorization", "podOS Address"} if title not in readme] == []


def test_every_environment_variable_is_documented() -> None:
    text = section(page("docs/settings.md"), "Environment variables")
    documented = {cells[0]: cells[1] for cells in rows(text)}
    assert {f"`{name.upper()}`" for name in Environment.model_fields} <= set(documented)
    assert {name: documented[f"`{name}`"] for name in PREFECT_DEFAULTS} == {
        name: f"`{value}`" for name, value in PREFECT_DEFAULTS.items()
    }
    pool = prefect_yaml()["definitions"]["work_pool"]
    assert {f"`{name}`" for name in pool["job_variables"]["env"]} <= set(documented)


def seconds_of(value: float) -> str:
    return f"{value:.0f} seconds"


def pauses(task: Any) -> str:
    return ", ".join(f"{pause:.0f}" for pause in task.retry_delay_seconds)


LIMITS = {
    "Overlap of checks": f"{OVERLAP.total_seconds() / 60:.0f} minutes",
    "Margin at a date": f"{paging.MARGIN.total_seconds():.0f} second",
    "Page size": f"{ListQuery().page_size} orders",
    "Ids in one request": str(IDS_PER_REQUEST),
    "Connections to podOS": str(inspect.signature(Scan).parameters["connections"].default),
    "Wait for an answer": seconds_of(inspect.signature(PodosClient).parameters["timeout_seconds"].default)
    + "; 10 to connect",
    "All of an answer": seconds_of(SLOWEST_ANSWER_SECONDS),
    "Largest answer": f"{MAX_ANSWER_BYTES >> 20} MB",
    "Request asked again": f"{LARGEST_BODY_BYTES // 1_000_000} MB",
    "Workbook of shipments": f"{MAX_UNPACKED_BYTES // 1_000_000} MB unpacked",
    "File of shipments": f"{MAX_CSV_BYTES // 1_000_000} MB, {MAX_ROWS:,} rows",
    "File of rules or maps": f"{MAX_CHARACTERS:,} characters",
    "Pattern of a rule": f"{MAX_MEMORY >> 20} MB",
    "Text for a pattern": f"{MAX_TEXT:,} characters",
    "Tries of one request": str(retry.MAX_ATTEMPTS),
    "Retry-After that is waited for": seconds_of(retry.MAX_RETRY_AFTER_SECONDS),
    "Batch size": f"{', '.join(map(str, BATCH_SIZES[:-1]))} orders, then {BATCH_SIZES[-1]}; "
    f"at most {LARGEST_WHILE_WAITING} where podOS is waited for",
    "Retries of extract": str(extract_orders.retries),
    "Retries of load": str(load_orders.retries),
    "Lease of a run": seconds_of(TERM.total_seconds()),
    "First sign of life of a run": f"{START_GRACE.seconds // 60} minutes",
    "Silence of a dead run": seconds_of(SILENCE.total_seconds()),
    "Wait for the SQLite database": seconds_of(BUSY_TIMEOUT_SECONDS),
    "Pages of one second": f"{paging.MAX_PASSES} passes",
    "Empty pages in a row": str(paging.MAX_EMPTY_PAGES),
    "Listed in a run's report": f"{MAX_EXAMPLES} orders for each reason, {MAX_ATTENTION} that need attention",
}


def test_the_documented_names_of_columns_are_those_of_the_code() -> None:
    table = rows(section(page("docs/shipping.md"), "Names of columns"))[2:]
    assert [cells[0].strip("`") for cells in table] == list(COLUMNS)
    assert {cells[0].strip("`"): tuple(cells[1].split("; ")) for cells in table} == KNOWN_HEADERS


def test_the_documented_limits_are_those_of_the_code() -> None:
    table = rows(section(page("docs/settings.md"), "Fixed limits"))[2:]
    assert {cells[0]: cells[1] for cells in table} == LIMITS
    reasons = {cells[0]: cells[2] for cells in table}
    assert f"from {retry.FIRST_WAIT_SECONDS} seconds" in reasons["Tries of one request"]
    assert f"up to {seconds_of(retry.MAX_WAIT_SECONDS)}" in reasons["Tries of one request"]
    assert f"every {seconds_of(RENEW_EVERY_SECONDS)}" in reasons["Lease of a run"]
    shape = f"{MAX_COLUMNS} columns, {MAX_LINE_CHARACTERS:,} characters a line or cell"
    assert shape in reasons["File of shipments"]
    assert f"{MAX_CELLS:,} cells" in reasons["Workbook of shipments"]
    assert f"{MAX_FILE_BYTES // 1_000_000} MB" in reasons["File of rules or maps"]
    most = RulesFile.model_json_schema()["properties"]["rules"]["maxItems"]
    assert f"{most:,} rules, {MAX_DEPTH} levels" in reasons["File of rules or maps"]
    others = (orderdesk.MAX_ANSWER_BYTES >> 20, webhook.MAX_ANSWER_BYTES >> 10)
    assert "Order Desk's {} MB, a webhook's {} KB".format(*others) in reasons["Largest answer"]
    assert orderdesk.SLOWEST_ANSWER_SECONDS == SLOWEST_ANSWER_SECONDS
    assert reasons["Retries of extract"].startswith("after 5 and 10 seconds")
    assert pauses(extract_orders) == "5, 10"
    assert reasons["Retries of load"].startswith("after 5, 10 and 20 seconds")
    assert pauses(load_orders) == "5, 10, 20"


def exported_keys(value: dict[str, Any], group: str = "") -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from exported_keys(inner, f"{group}{name}.")
        else:
            yield f"{group}{name}"


def test_every_exported_key_is_documented() -> None:
    row = dict.fromkeys(metadata.tables["orders"].columns.keys()) | {"folder": "New"}
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    order = exported_order(row | {"podos_created_at": moment, "imported_at": moment}, [])
    keys = {code for cells in rows(section(page("docs/mapping.md"), "The order")) for code in codes(cells[2])}
    assert set(exported_keys(order)) == keys
    item_keys = exported_item(dict.fromkeys(metadata.tables["order_items"].columns.keys()))
    table = rows(section(page("docs/mapping.md"), "Its items"))
    assert set(item_keys) == {code for cells in table for code in codes(cells[2])} - {"items"}


def test_every_mapped_column_is_documented() -> None:
    for heading, fields, elsewhere in (
        ("The order", NewOrder.__struct_fields__, {"attention", "items", "remarks"}),
        ("Its items", NewItem.__struct_fields__, set[str]()),
    ):
        table = rows(section(page("docs/mapping.md"), heading))
        documented = {code for cells in table for code in codes(cells[1])}
        assert set(fields) - elsewhere <= documented


def test_every_print_key_is_documented() -> None:
    text = section(page("docs/mapping.md"), "Its prints")
    keys = {code for cells in rows(text) for code in codes(cells[1])}
    wanted = {"print_sku"} | {f"{key}_{number}" for key in PRINT_KEYS for number in ("1", "n")}
    assert wanted == {key for key in keys if key.startswith("print_")}


def test_every_outcome_is_documented() -> None:
    table = rows(section(page("docs/mapping.md"), "Why an order is not imported"))
    assert {code for cells in table for code in codes(cells[0])} == set(Outcome)


@pytest.mark.parametrize("table", metadata.tables)
def test_every_column_is_documented_with_its_table(table: str) -> None:
    text = rows(section(page("docs/database.md"), table))
    documented = [code for cells in text for code in codes(cells[0])]
    assert sorted(documented) == sorted(metadata.tables[table].columns.keys())


def test_every_state_and_first_folder_is_documented() -> None:
    runs = rows(section(page("docs/database.md"), "import_runs"))
    (states,) = (codes(cells[1]) for cells in runs if cells[0] == "`state`")
    assert states == list(RunState)
    assert [folder for folder in (*FIRST_FOLDERS, NEEDS_ATTENTION) if folder not in page("README.md")] == []


def test_every_field_of_the_run_form_is_documented() -> None:
    text = section(page("docs/runbook.md"), "Import by hand")
    assert [field.title for field in ManualImport.model_fields.values() if str(field.title) not in text] == []


def test_every_fault_and_setting_of_the_sandbox_is_documented() -> None:
    text = page("docs/sandbox.md")
    documented = {codes(cells[0])[0]: cells[1] for cells in rows(text) if codes(cells[0])}
    assert FAULTS.items() <= documented.items()
    assert [name for name in SandboxSettings.__dataclass_fields__ if f"`{name}`" not in text] == []


def prefect_yaml() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(page("prefect.yaml"))
    return loaded


@pytest.mark.parametrize(
    "deployment", prefect_yaml()["deployments"], ids=lambda deployment: str(deployment["name"])
)
def test_a_deployment_fits_its_flow_and_is_documented(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    accepted = set(inspect.signature(flow.fn).parameters)
    given = [
        deployment["parameters"],
        *(schedule.get("parameters", {}) for schedule in deployment["schedules"]),
    ]
    assert all(set(parameters) <= accepted for parameters in given)
    table = rows(section(page("README.md"), "Flows"))
    assert any(flow.name in codes(cells[0]) and deployment["name"] in codes(cells[1]) for cells in table)


def test_every_flow_is_documented() -> None:
    from prefect import Flow

    modules = [importlib.import_module(f"flows.{path.stem}") for path in (ROOT / "flows").glob("[!_]*.py")]
    flows = {value.name for module in modules for value in vars(module).values() if isinstance(value, Flow)}
    documented = {
        code for path in PAGES for cells in rows(path.read_text("utf-8")) for code in codes(cells[0])
    }
    assert flows <= documented


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        place = (path.parent / target).resolve() if target else path
        assert place.is_file(), link
        assert place.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(place), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    assert {str(path.relative_to(ROOT)) for path in PAGES} - linked == {"README.md"}


def test_nothing_private_and_no_strange_address_is_in_the_documentation() -> None:
    text = everything()
    addresses = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text)
    assert [host for host in addresses if not host.endswith("example.test")] == []
    hosts = {urlsplit(url).hostname or "" for url in re.findall(r"https?://[\w.:-]+", text)}
    assert {host for host in hosts if not host.endswith("example.test")} <= KNOWN_HOSTS
    assert set(re.findall(r"(?:(?<![\w./:~-])/+|:////)(\w+)/", text)) <= PLACES


def test_the_documentation_has_examples_that_are_run() -> None:
    assert {example.page.name for example in examples()} >= {"README.md", "database.md", "mapping.md"}


WRITES_A_FILE = re.compile(
    r"\bpg_dump(all)?\s|VACUUM INTO|\.(backup|dump|clone)\b \S|\btar -?-?c"
    r"|\b(cp|scp|rsync|install -m|tee|dd|touch) "
    r"|\b(cat|echo|printf|desk|psql|python3?|sqlite3) .*[^-<>=]>>? ?[\w/~\"$]"
)
FOR_ALL = {"cat /etc/ssl/certs/ca-certificates.crt private.pem > all.pem"}
"""Commands whose file everybody may read: certificates."""
OURS = ("desk backup ", "sh deployments/compose/new-settings.sh ")
"""Programs that make files for their user alone, each with a test of its own."""


def writing_commands() -> list[str]:
    """Return the documented commands that write files, with what stands before them in their block."""
    found = []
    for _, block in shell_commands():
        lines = block.splitlines()
        for number, line in enumerate(lines):
            if WRITES_A_FILE.search(line) and not line.strip().startswith(OURS):
                found.append("\n".join(lines[: number + 1]))
    return found


def test_a_documented_command_that_writes_a_file_makes_it_for_its_user_alone() -> None:
    found = set(writing_commands()) - FOR_ALL
    for tool in ("pg_dump", "VACUUM INTO", ".backup", "tar -c", "touch"):
        assert any(tool in command for command in found), (
            f"no command with {tool} was found: is the search blind?"
        )
    assert sorted(command for command in found if "umask 077" not in command) == []


def test_every_setting_of_a_fulfiller_is_documented() -> None:
    documented = "\n".join(cells[0] for cells in rows(section(page("docs/fulfillers.md"), "Settings")))
    titles = {str(kind.model_fields[name].title) for kind in KINDS.values() for name in own_fields(kind)}
    assert [title for title in titles if title not in documented] == []


def test_no_example_relies_on_assert() -> None:
    for path in PAGES:
        for code in code_blocks(path.read_text("utf-8"), "python"):
            assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code))), path


def test_the_messages_of_the_runbook_are_those_of_the_program() -> None:
    files = (path for package in ("deployments", "flows", "tasks") for path in (ROOT / package).rglob("*.py"))
    source = re.sub(r'"\s+f?"', "", "\n".join(path.read_text("utf-8") for path in files))
    text = section(page("docs/runbook.md"), "What a run says") + section(
        page("docs/runbook.md"), "What to do when"
    )
    quoted = [re.sub(r"\s+", " ", code) for code in codes(text) if " " in code]
    messages = [
        quotation
        for quotation in quoted
        if not quotation.startswith(("desk ", "fetched ", "default:", "chown ", "check ", "unexpected "))
    ]
    parts = [
        part.strip(" ;:")
        for message in messages
        for part in re.split(r"(?: since)? ?\.\.\.| 1 | 4200 ", message)
        if part
    ]
    assert len(messages) > 12
    assert [part for part in parts if part not in source] == []
