"""Small workbooks as programs write them, made of their XML."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from html import escape

Cells = Sequence[Sequence[str]]
"""Rows of cells, each the XML of a cell (`number`, `text`, …), or empty."""
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
# Styles by number: plain, date, moment, time of day, duration.
FORMATS = (0, 14, 22, 21, 46)
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"


def text(value: str) -> str:
    return f't="inlineStr"><is><t>{escape(value)}</t></is>'


def number(value: float, style: int = 0) -> str:
    return f's="{style}"><v>{value}</v>'


def flag(value: bool) -> str:
    return f't="b"><v>{int(value)}</v>'


def formula(value: str) -> str:
    return f"><f>B2*2</f><v>{value}</v>"


def xlsx(sheets: Mapping[str, Cells | str], *, is_of_1904: bool = False) -> bytes:
    """Return a workbook; a sheet may also be the XML of its rows."""
    parts = {
        "[Content_Types].xml": _content_types(len(sheets)),
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _workbook(list(sheets), is_of_1904),
        "xl/_rels/workbook.xml.rels": _relations(
            [("worksheet", f"worksheets/sheet{place}.xml") for place in range(1, len(sheets) + 1)]
            + [("styles", "styles.xml")]
        ),
        "xl/styles.xml": _styles(),
    }
    for place, rows in enumerate(sheets.values(), start=1):
        data = rows if isinstance(rows, str) else _rows(rows)
        sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData></worksheet>'
        parts[f"xl/worksheets/sheet{place}.xml"] = sheet
    return zipped(parts)


def zipped(parts: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def ods(rows: str, name: str = "Sheet1") -> bytes:
    """Return a workbook of one sheet, made of the XML of its rows."""
    content = (
        f'<office:document-content xmlns:office="{OFFICE}:office:1.0" xmlns:table="{OFFICE}:table:1.0" '
        f'xmlns:text="{OFFICE}:text:1.0"><office:body><office:spreadsheet><table:table table:name="{name}">{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{OFFICE}:manifest:1.0"/>'
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    return zipped({"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": manifest})


def ods_row(*cells: str, more: str = "") -> str:
    return f"<table:table-row{more}>{''.join(cells)}</table:table-row>"


def ods_text(value: str) -> str:
    return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'


def ods_number(value: float, more: str = "") -> str:
    return f'<table:table-cell office:value-type="float" office:value="{value}"{more}><text:p/></table:table-cell>'


def _rows(rows: Cells) -> str:
    return "".join(
        f'<row r="{row}">{"".join(_cell(chr(65 + place), row, cell) for place, cell in enumerate(cells))}</row>'
        for row, cells in enumerate(rows, start=1)
    )


def _cell(column: str, row: int, cell: str) -> str:
    return f'<c r="{column}{row}" {cell}</c>' if cell else ""


def _workbook(names: list[str], is_of_1904: bool) -> str:
    sheets = "".join(
        f'<sheet name="{escape(name)}" sheetId="{place}" r:id="rId{place}"/>' for place, name in enumerate(names, 1)
    )
    dates = '<workbookPr date1904="1"/>' if is_of_1904 else ""
    return f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{dates}<sheets>{sheets}</sheets></workbook>'


def _relations(targets: list[tuple[str, str]]) -> str:
    of_package = "http://schemas.openxmlformats.org/package/2006/relationships"
    listed = "".join(
        f'<Relationship Id="rId{place}" Type="{RELATIONS}/{kind}" Target="{target}"/>'
        for place, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{of_package}">{listed}</Relationships>'


def _styles() -> str:
    cells = "".join(f'<xf numFmtId="{number}" applyNumberFormat="1"/>' for number in FORMATS)
    return f'<styleSheet xmlns="{MAIN}"><cellXfs>{cells}</cellXfs></styleSheet>'


def _content_types(n_sheets: int) -> str:
    of_package = "http://schemas.openxmlformats.org/package/2006/content-types"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{place}.xml" ContentType="{kind}.worksheet+xml"/>'
        for place in range(1, n_sheets + 1)
    )
    return (
        f'<Types xmlns="{of_package}"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{sheets}</Types>'
    )
