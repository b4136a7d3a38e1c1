"""An integration that is connected to a sandbox, and its flows."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import SecretStr

from deployments.sandbox.server import Sandbox
from models.blocks import Integration
from models.reports import ImportReport
from models.shipments import SyncReport


class Connected:
    """An integration that is connected to a sandbox, and its flows, run in this process."""

    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.sandbox = sandbox
        self.set()

    def set(self, **settings: Any) -> None:
        """Save the integration with these settings."""
        integration = Integration(
            project=self.sandbox.project,
            api_token=SecretStr(self.sandbox.token),
            base_url=self.sandbox.url,
            **settings,
        )
        from tasks.prefect_api.integrations import save_integration

        asyncio.run(save_integration(self.name, integration))

    def check(self) -> ImportReport:
        """Run a check; its error is raised."""
        from flows.check_orders import check_for_new_orders

        return self._run(lambda: check_for_new_orders(self.name, return_state=True))

    def manual_import(self, since: str, **fields: Any) -> ImportReport:
        """Run a manual import; its error is raised."""
        from flows.manual_import import manual_import
        from models.forms import ManualImport

        request = ManualImport.model_validate({"integration": self.name, "since": since, **fields})
        return self._run(lambda: manual_import(request, return_state=True))

    def import_single(self, *source_ids: str) -> ImportReport:
        """Import orders by id; its error is raised."""
        from flows.manual_import import import_single_orders

        return self._run(lambda: import_single_orders(self.name, list(source_ids), return_state=True))

    def replay(self) -> ImportReport:
        """Replay the rejected orders; its error is raised."""
        from flows.manual_import import replay_rejected

        return self._run(lambda: replay_rejected(self.name, return_state=True))

    def sync(self) -> SyncReport:
        """Run a sync of tracking; its error is raised."""
        report, error = self.sync_and_error()
        if error:
            raise error
        assert report is not None
        return report

    def sync_and_error(self) -> tuple[SyncReport | None, Exception | None]:
        """Run a sync of tracking and return its report and the error that ended it."""
        from deployments.cli.sync import run_and_watch

        return run_and_watch(self.name)

    def _run(self, run: Any) -> ImportReport:
        from deployments.cli.imports import run_and_watch

        return run_and_watch(run, self.name)
