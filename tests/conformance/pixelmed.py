"""PixelMed's SR validator, run as a program: it reads paths, one a line, and answers each with a line of JSON.

Its style sheets take seconds to compile, so one process of it looks at many files.
"""

import json
import os
import sys
from typing import Any

import jpype

JAR = "/usr/share/java/pixelmed.jar"
# Java stops long XPath expressions by default, and the SR templates are long. For few files a quick compiler is enough.
OPTIONS = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    *(f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprGrp", "ExprOp")),
]


class NamedSources:
    """Finds the documents that the style sheets ask for as the validator does, and gives each its name, by which the
    processor of style sheets knows what it has read. Without, it reads all context groups anew for every content item.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    def resolve(self, href: Any, base: Any) -> Any:
        source = self._own.resolve(href, base)
        source.setSystemId(href)
        return source


def validator() -> Any:
    """Returns a com.pixelmed.validate.DicomSRValidator that reads each document once a file."""
    kind = jpype.JClass("com.pixelmed.validate.DicomSRValidator")
    made = kind()

    def field(name: str) -> Any:
        found = kind.class_.getDeclaredField(name)
        found.setAccessible(True)
        return found.get(made)

    named = jpype.JProxy("javax.xml.transform.URIResolver", inst=NamedSources(field("ourURIResolver")))
    for name in ("transformerPass1", "transformerPass2"):
        field(name).setURIResolver(named)
    return made


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Java prints is no answer
    jpype.startJVM(*OPTIONS, classpath=[JAR])
    judge = validator()
    for line in sys.stdin:
        try:
            said = str(judge.validate(line.rstrip("\n")))
        except jpype.JException as error:
            said = f"Exception: {error}"
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
