// Reads the binary glTF that the workstation writes: plain meshes, one material each. Source: glTF 2.0, 3.5 to 3.7, 4.4.
import { BufferAttribute, BufferGeometry, Color, DoubleSide, Matrix4, Mesh, MeshStandardMaterial } from "../vendor/three/three.module.js";

export function readGlb(buffer) {
  const view = new DataView(buffer);
  const at = (place) => view.getUint32(place, true);
  if (at(0) !== 0x46546c67 || at(4) !== 2 || at(8) > buffer.byteLength) throw new Error("no glTF");
  const length = at(12);
  const scene = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, length)));
  const data = 20 + length + 8;
  const values = (number, kind, size) => {
    const { bufferView, byteOffset = 0, count } = scene.accessors[number];
    return new kind(buffer, data + scene.bufferViews[bufferView].byteOffset + byteOffset, count * size);
  };
  return scene.nodes.map((node) => {
    const [piece] = scene.meshes[node.mesh].primitives;
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(values(piece.attributes.POSITION, Float32Array, 3), 3));
    geometry.setAttribute("normal", new BufferAttribute(values(piece.attributes.NORMAL, Float32Array, 3), 3));
    geometry.setIndex(new BufferAttribute(values(piece.indices, Uint32Array, 1), 1));
    const { baseColorFactor: [red, green, blue], roughnessFactor } = scene.materials[piece.material].pbrMetallicRoughness;
    const material = new MeshStandardMaterial({ color: new Color(red, green, blue), roughness: roughnessFactor, metalness: 0,
      side: DoubleSide });
    const mesh = new Mesh(geometry, material);
    mesh.name = node.name;
    mesh.applyMatrix4(new Matrix4().fromArray(node.matrix));
    return mesh;
  });
}
