"""PixelMed's SR validator, run as a program: it reads paths, one a line, and answers each with a line of JSON.

Its style sheets take seconds to compile, so one process of it looks at many files.
"""

import json
import os
import sys

import jpype

JAR = "/usr/share/java/pixelmed.jar"
# Java stops long XPath expressions by default; the SR templates are long ones.
OPTIONS = ["-XX:+UseSerialGC", *(f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprGrp", "ExprOp"))]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Java prints is no answer
    jpype.startJVM(*OPTIONS, classpath=[JAR])
    validator = jpype.JClass("com.pixelmed.validate.DicomSRValidator")()
    for line in sys.stdin:
        try:
            said = str(validator.validate(line.rstrip("\n")))
        except jpype.JException as error:
            said = f"Exception: {error}"
        print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    main()
