"""Workbooks made by hand, in both formats, so that a test says which type each cell has."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from xml.sax.saxutils import escape, quoteattr

Cell = str | float | bool | date | None
Sheets = Iterable[tuple[str, Sequence[Sequence[Cell]]]]

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_EPOCH = date(1899, 12, 30)


def packed(parts: dict[str, str]) -> bytes:
    """Return a ZIP file of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in parts.items():
            book.writestr(name, part)
    return file.getvalue()


def xlsx(sheets: Sheets, *, hidden: Iterable[str] = ()) -> bytes:
    """Return an XLSX workbook; None is an empty cell, and text that begins with #! an error of that name."""
    listed, related, parts = "", "", {}
    for number, (name, rows) in enumerate(sheets, 1):
        state = ' state="hidden"' if name in hidden else ""
        listed += f'<sheet name={quoteattr(name)} sheetId="{number}"{state} r:id="r{number}"/>'
        related += (
            f'<Relationship Id="r{number}" Type="{_RELATED}/worksheet" Target="worksheets/{number}.xml"/>'
        )
        parts[f"xl/worksheets/{number}.xml"] = xlsx_sheet(rows)
    related += f'<Relationship Id="s" Type="{_RELATED}/styles" Target="styles.xml"/>'
    main = f'<Relationship Id="r1" Type="{_RELATED}/officeDocument" Target="xl/workbook.xml"/>'
    names = f'xmlns="{_MAIN}" xmlns:r="{_RELATED}"'
    formats = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    return packed(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
            "_rels/.rels": _relationships(main),
            "xl/workbook.xml": f"<workbook {names}><sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": _relationships(related),
            "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}">{formats}</styleSheet>',
            **parts,
        }
    )


def _relationships(related: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{related}</Relationships>'


def xlsx_sheet(rows: Sequence[Sequence[Cell]]) -> str:
    """Return the part of one sheet."""
    lines = "".join(
        f'<row r="{number}">{"".join(map(_xlsx_cell, row))}</row>' for number, row in enumerate(rows, 1)
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>'


def _xlsx_cell(value: Cell) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{value:d}</v></c>'
    if isinstance(value, date):
        return f'<c s="1"><v>{(value - _EPOCH).days}</v></c>'
    if isinstance(value, float | int):
        return f"<c><v>{value!r}</v></c>"
    if value.startswith("#!"):
        return f'<c t="e"><v>#{escape(value[2:])}</v></c>'
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def ods(sheets: Sheets) -> bytes:
    """Return an ODS workbook."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>{''.join(map(_ods_row, rows))}</table:table>"
        for name, rows in sheets
    )
    return ods_of(tables)


def ods_of(tables: str) -> bytes:
    """Return an ODS workbook of these tables, as XML."""
    names = " ".join(f'xmlns:{name}="{_OASIS}:{name}:1.0"' for name in ("office", "table", "text"))
    return packed(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": f'<m:manifest xmlns:m="{_OASIS}:manifest:1.0"/>',
            "content.xml": f"<office:document-content {names}><office:body><office:spreadsheet>{tables}"
            "</office:spreadsheet></office:body></office:document-content>",
        }
    )


def _ods_row(row: Sequence[Cell]) -> str:
    return f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>"


def _ods_cell(value: Cell) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        kind = f'"boolean" office:boolean-value="{str(value).lower()}"'
    elif isinstance(value, date):
        kind = f'"date" office:date-value="{value.isoformat()}"'
    elif isinstance(value, float | int):
        kind = f'"float" office:value="{value!r}"'
    else:
        kind = '"string"'
    text = escape(str(value))
    return f"<table:table-cell office:value-type={kind}><text:p>{text}</text:p></table:table-cell>"
