"""Surface models as files: OBJ, PLY, glTF (binary) and 3MF, several coloured parts in one file.

Sources: Wavefront, 'OBJ file format' appendix B1; Turk 1994, 'The PLY polygon file format'; Khronos, 'glTF 2.0
specification'; 3MF Consortium, '3D Manufacturing Format core specification 1.3'.
"""

import io
import json
import re
import struct
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from render.geometry import Vector
from render.surface import Surface, as_stl
from render.surface_model import MadePart

# LPS mm to metres with y up and z towards the reader: left, head, front. Columns one after the other (glTF 3.5.2).
_TO_GLTF = [0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # a zip's: the same model gives the same bytes


def merged_stl(parts: Sequence[MadePart]) -> bytes:
    """Writes all parts as one binary STL, which knows neither parts nor colours. Unit and frame: LPS mm."""
    first = 0
    triangles = []
    for one in parts:
        triangles.append(one.surface.triangles + first)
        first += len(one.surface.vertices_mm)
    vertices = np.concatenate([one.surface.vertices_mm for one in parts])
    return as_stl(Surface(vertices, np.concatenate(triangles).astype(np.int32)))


def as_obj(parts: Sequence[MadePart]) -> bytes:
    """Writes OBJ: a group a part, its colour behind each vertex, as most readers take it. LPS mm, six digits."""
    lines, first = ["# Surfaces in LPS millimetres"], 1
    for one in parts:
        red, green, blue = one.part.colour
        lines += [f"o {_word(one.part.name)}", f"g {_word(one.part.name)}"]
        colour = f"{red:.4g} {green:.4g} {blue:.4g}"
        lines += [f"v {x:.6g} {y:.6g} {z:.6g} {colour}" for x, y, z in one.surface.vertices_mm.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (one.surface.triangles + first).tolist()]
        first += len(one.surface.vertices_mm)
    return ("\n".join(lines) + "\n").encode("ascii")


def _word(name: str) -> str:
    """A name as one word of plain letters, as OBJ wants it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "part"


def as_ply(parts: Sequence[MadePart]) -> bytes:
    """Writes binary PLY, little endian, a colour for each vertex. LPS mm."""
    vertices, triangles, first = [], [], 0
    for one in parts:
        rows = np.zeros(len(one.surface.vertices_mm), dtype=[("at", "<f4", 3), ("colour", "u1", 3)])
        rows["at"], rows["colour"] = one.surface.vertices_mm, _bytes(one.part.colour)
        faces = np.zeros(len(one.surface.triangles), dtype=[("count", "u1"), ("corners", "<i4", 3)])
        faces["count"], faces["corners"] = 3, one.surface.triangles + first
        vertices.append(rows)
        triangles.append(faces)
        first += len(rows)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment LPS millimetres",
        f"element vertex {first}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {colour}" for colour in ("red", "green", "blue")),
        f"element face {sum(map(len, triangles))}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    body = b"".join(rows.tobytes() for rows in (*vertices, *triangles))
    return ("\n".join(header) + "\n").encode("ascii") + body


def _bytes(colour: Vector) -> tuple[int, int, int]:
    red, green, blue = (round(part * 255.0) for part in colour)
    return red, green, blue


def as_glb(parts: Sequence[MadePart]) -> bytes:
    """Writes binary glTF: a node, mesh and material a part. The file is in metres, y up, as glTF wants; the vertices
    themselves are LPS mm, and the node's matrix takes them there."""
    views, meshes, materials, nodes = [], [], [], []
    accessors: list[dict[str, Any]] = []
    data = bytearray()

    def add(values: bytes, target: int) -> int:
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(values), "target": target})
        data.extend(values)
        return len(views) - 1

    for number, one in enumerate(parts):
        at, corners = one.surface.vertices_mm, one.surface.triangles
        low, high = at.min(axis=0).tolist(), at.max(axis=0).tolist()
        places, normals = add(at.astype("<f4").tobytes(), 34962), add(_normals(one.surface), 34962)
        indices = add(corners.astype("<u4").tobytes(), 34963)
        first = len(accessors)
        plain = {"componentType": 5126, "count": len(at), "type": "VEC3"}
        accessors += [
            {"bufferView": places, **plain, "min": low, "max": high},
            {"bufferView": normals, **plain},
            {"bufferView": indices, "componentType": 5125, "count": corners.size, "type": "SCALAR"},
        ]
        pieces = {"attributes": {"POSITION": first, "NORMAL": first + 1}, "indices": first + 2, "material": number}
        meshes.append({"name": one.part.name, "primitives": [pieces]})
        # glTF's colours are linear, ours are those of a screen (sRGB).
        colour = [round(_linear(part), 6) for part in one.part.colour]
        look = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.6}
        materials.append({"name": one.part.name, "pbrMetallicRoughness": look})
        nodes.append({"name": one.part.name, "mesh": number, "matrix": _TO_GLTF})
    scene = {
        "asset": {"version": "2.0", "generator": "radiology-3d-workstation"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": materials,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(scene, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(data)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, size),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(data), b"BIN\0"),
            bytes(data),
        ]
    )


def _normals(found: Surface) -> bytes:
    """The outward normal at each vertex: the mean of its triangles', by area."""
    corners = found.vertices_mm[found.triangles].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    count = len(found.vertices_mm)
    sums = np.zeros((count, 3))
    for axis in range(3):
        for corner in range(3):
            sums[:, axis] += np.bincount(found.triangles[:, corner], across[:, axis], count)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    made = np.divide(sums, lengths, out=np.tile([0.0, 0.0, 1.0], (count, 1)), where=lengths > 0)
    return bytes(made.astype("<f4").tobytes())


def _linear(part: float) -> float:
    """Source: IEC 61966-2-1."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def as_3mf(parts: Sequence[MadePart]) -> bytes:
    """Writes 3MF in millimetres: an object a part, with its colour, for printers."""
    colours, objects, items = [], [], []
    for number, one in enumerate(parts):
        red, green, blue = _bytes(one.part.colour)
        name = quoteattr(one.part.name)
        colours.append(f'<base name={name} displaycolor="#{red:02X}{green:02X}{blue:02X}FF"/>')
        vertices = "".join(
            f'<vertex x="{x:.6g}" y="{y:.6g}" z="{z:.6g}"/>' for x, y, z in one.surface.vertices_mm.tolist()
        )
        triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in one.surface.triangles.tolist())
        objects.append(
            f'<object id="{number + 2}" type="model" name={name} pid="1" pindex="{number}">'
            f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh></object>"
        )
        items.append(f'<item objectid="{number + 2}"/>')
    core = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    files = {
        "[Content_Types].xml": f'{declared}<Types xmlns="{types}">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>',
        "_rels/.rels": f'{declared}<Relationships xmlns="{relations}"><Relationship Target="/3D/3dmodel.model" '
        'Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>',
        "3D/3dmodel.model": f'{declared}<model unit="millimeter" xml:lang="en-US" xmlns="{core}"><resources>'
        f'<basematerials id="1">{"".join(colours)}</basematerials>{"".join(objects)}</resources>'
        f"<build>{''.join(items)}</build></model>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return packed.getvalue()
