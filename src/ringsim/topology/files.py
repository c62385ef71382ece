"""Graphs in files: GraphML, and the node-link JSON that NetworkX and D3 write.

Only the form is looked at here; what vertices and edges have to say is the business of `ringsim.topology.reading`.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringsim.fabric import Fabric, FabricError
from ringsim.topology.graphs import GraphTopology
from ringsim.topology.kinds import TopologyError
from ringsim.topology.reading import from_graph

if TYPE_CHECKING:
    import networkx as nx


def load_graph(
    path: str | Path, *, fabric: Fabric | None = None, seed: int = 0, check: bool = True
) -> GraphTopology:  # fmt: skip
    """Read a topology from a GraphML file (``.graphml``, ``.xml``) or a node-link JSON file (``.json``).

    Parameters are those of `from_graph`.

    Raises
    ------
    FabricError
        If something is wrong with the file, as ``FILE: ELEMENT: what is wrong; what would be right``.
    """
    path = Path(path)
    graph = read_graph(path)
    try:
        return from_graph(graph, fabric=fabric, seed=seed, name=path.stem, check=check)
    except TopologyError as error:
        raise FabricError(f"{path}: {error}") from None


def read_graph(path: Path) -> "nx.Graph[Any]":
    """Read a file by its ending."""
    readers = {".graphml": _graphml, ".xml": _graphml, ".json": _node_link}
    if path.suffix.lower() not in readers:
        raise FabricError(f"{path}: not a known form of graph; give a .graphml or a node-link .json file")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FabricError(f"{path}: there is no such file; name an existing graph") from None
    except UnicodeDecodeError:
        raise FabricError(f"{path}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FabricError(f"{path}: cannot be read: {reason}; name a readable graph") from None
    return readers[path.suffix.lower()](path, content)


def _graphml(path: Path, content: str) -> "nx.Graph[Any]":
    """Read GraphML, in which a vertex is its ``id``."""
    import networkx as nx

    try:
        graph: nx.Graph[Any] = nx.parse_graphml(content)
    except Exception as error:
        # What the reader raises is as various as what can be wrong with XML; every one means the same to the user.
        what = str(error).strip("'\"") or type(error).__name__
        raise FabricError(f"{path}: not GraphML: {what}; export the graph again") from None
    return graph


def _node_link(path: Path, content: str) -> "nx.Graph[Any]":
    """Read node-link JSON, as NetworkX and D3 write it: ``nodes`` with ``id``, ``links`` or ``edges`` with both ends."""
    import networkx as nx

    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FabricError(f"{path}: not JSON: {error}; export the graph again") from None
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise FabricError(f"{path}: nodes = (missing): not node-link JSON; write an object with nodes and links")
    links = data.get("links", data.get("edges"))
    if not isinstance(links, list):
        raise FabricError(f"{path}: links = (missing): not node-link JSON; write an object with nodes and links")
    directed = data.get("directed", False)
    if not isinstance(directed, bool):
        raise FabricError(f"{path}: directed = {directed}: neither true nor false; write true or false")
    graph: nx.Graph[Any] = nx.MultiDiGraph() if directed else nx.MultiGraph()
    for i, values in enumerate(data["nodes"]):
        name = values.get("id") if isinstance(values, dict) else None
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            raise FabricError(f"{path}: nodes[{i}]: has no id; write a name or a number")
        if name in graph:
            raise FabricError(f"{path}: nodes[{i}]: id = {name}: used twice; give every vertex a name of its own")
        graph.add_node(name, **{key: value for key, value in values.items() if key != "id"})
    for i, values in enumerate(links):
        if not isinstance(values, dict):
            raise FabricError(f"{path}: links[{i}]: not an object; write source, target, bandwidth and latency")
        for end in ("source", "target"):
            if not isinstance(values.get(end), (str, int, float)) or values[end] not in graph:
                right = "write the id of a vertex"
                raise FabricError(
                    f"{path}: links[{i}]: {end} = {values.get(end, '(missing)')}: no such vertex; {right}"
                )
        rest = {key: value for key, value in values.items() if key not in ("source", "target", "key")}
        graph.add_edge(values["source"], values["target"], **rest)
    return graph
