"""The commands about a record: `verify`, `explain`, `report`."""

from pathlib import Path
from typing import Annotated

import typer

from workstation.cli.shared import Json, example, exporting, progress_bar, root, show
from workstation.text_table import table


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(verify)
    app.command()(explain)
    app.command()(report)
    app.command()(measures)


@example("workstation verify SR.dcm")
def verify(
    sr: Annotated[str, typer.Argument(metavar="SR", help="A 3D post-processing SR of ours: a file, or its UID.")],
    archive: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The state folder whose archive and journal are asked.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the source images lie, instead of an archive.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificate of who has to have certified the signature.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check what an SR says: seal, journal, sources, and every picture made again.

    Exit 0 only when its sources are as they were, every picture was made again, and nothing differs.
    """
    from dataclasses import asdict

    from dicom_io.sr.signatures import load_authority
    from workstation.export.inspect import sr_file
    from workstation.records.verify import holds
    from workstation.records.verify import verify as checks_of
    from workstation.site import open_site

    if archive and folder:
        raise typer.BadParameter("say where the sources are: either --archive or --folder", param_hint="--folder")
    place = archive.expanduser() if archive else root()
    trusted = load_authority(authority) if authority else None
    checks = list(checks_of(sr_file(sr, place), folder or open_site(place), progress_bar(), trusted))
    said = {True: "agrees", False: "DIFFERENT", None: "not checked"}
    verified = holds(checks)
    text = table([[check.what, said[check.agrees], check.why] for check in checks], ["what", "result", "why"])
    if not verified and all(check.agrees is not False for check in checks):
        text += "\nNot verified: no picture could be made again from sources that are known to be unchanged."
    show(as_json, [asdict(check) for check in checks], text)
    if not verified:
        raise typer.Exit(1)


@example("workstation explain SR.dcm")
def explain(
    sr: Annotated[str, typer.Argument(metavar="SR", help="A 3D post-processing SR of ours: a file, or its UID.")],
    as_json: Json = False,
) -> None:
    """Say in plain words how each picture of an SR came about, who did what, and who answers for it."""

    from dicom_io.evidence import Evidence
    from workstation.export.inspect import sr_file
    from workstation.records.explain import explain as in_words
    from workstation.records.verify import open_record
    from workstation.strict import adapter

    _, _, evidence = open_record(sr_file(sr, root()))
    show(as_json, adapter(Evidence).dump_python(evidence, mode="json"), in_words(evidence))


@example("workstation report SR.dcm -o report.pdf")
def report(
    sr: Annotated[str, typer.Argument(metavar="SR", help="A 3D post-processing SR of ours: a file, or its UID.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The PDF file.")],
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where pictures and report lie, if not in the archive.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print an SR as PDF: patient, findings, key pictures, measurements, attestation, signatures, provenance."""
    from dicom_io.archive import Archive
    from dicom_io.files.series import read_instance
    from workstation.export.inspect import sr_file
    from workstation.records.pdf import print_report
    from workstation.records.pdf_contents import key_pictures, report_for
    from workstation.records.verify import open_record, signature_lines

    file = sr_file(sr, root())
    _, header, evidence = open_record(file)
    place = folder or Archive(root())
    told = report_for(evidence, place)
    shown = key_pictures(evidence, told.key_images if told else (), place)
    lines = signature_lines(header)
    with exporting([read_instance(file)], output):
        print_report(evidence, header, told, shown, lines, output)
    result = {"file": str(output), "pictures": [each.title for each in shown], "signed_report": told is not None}
    show(as_json, result, f"{output}: {len(shown)} pictures, {'with' if told else 'without'} a signed report")


@example("workstation measures SR.dcm --csv measures.csv")
def measures(
    sr: Annotated[str, typer.Argument(metavar="SR", help="A 3D post-processing SR of ours: a file, or its UID.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them as a table, a number a row.")] = None,
    as_json: Json = False,
) -> None:
    """Print the measurements of an SR: what was measured, where in the patient, every number with its unit."""
    from workstation.export.inspect import sr_file
    from workstation.records.measurements import as_rows, csv_of
    from workstation.records.verify import open_record

    file = sr_file(sr, root())
    _, _, evidence = open_record(file)
    rows = as_rows(evidence.measurements)
    if csv is not None:
        from dicom_io.files.series import read_instance

        with exporting([read_instance(file)], csv):
            csv.write_bytes(csv_of(rows))
    columns = ["name", "finding", "number", "value", "unit"]
    text = table([[str(row[column]) for column in columns] for row in rows], columns) if rows else "No measurements."
    show(as_json, rows, text)
