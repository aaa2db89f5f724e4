from __future__ import annotations

import dataclasses
import itertools
import json
import random
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from mloscope.adaptors.interface import LAYER_KINDS, Layer
from mloscope.components import network_graph as graph
from mloscope.components.network_graph import texts
from mloscope.components.network_graph.kinds import family
from mloscope.components.network_graph.plan import FRAME_HEADER

sys.path.insert(0, str(Path(__file__).parent))
import network_examples as examples

SVG = "{http://www.w3.org/2000/svg}"
NETWORKS = {
    "LeNet": examples.lenet(),
    "ResNet-50": examples.resnet50(),
    "MobileNetV2": examples.mobilenet_v2(),
    "Inception": examples.inception(),
    "DenseNet": examples.densenet(),
    "plain": examples.plain(60),
    "U-Net": examples.u_net(8),
    "no edges": tuple(dataclasses.replace(layer, inputs=()) for layer in examples.resnet50()),
}
every_network = pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS.keys())


def labels(layers, expanded=()) -> list[str]:
    return [
        node.content.label if isinstance(node.content, graph.Block) else f"({node.content.name})"
        for node in graph.fold(layers, expanded)
    ]


def blocks(layers) -> list[graph.Block]:
    def walk(children):
        for child in children:
            if isinstance(child, graph.Block):
                yield child
                yield from walk(child.children)

    return list(walk(graph.tree(layers)))


def foldings(layers) -> list[frozenset[str]]:
    """All closed, all open, and some in between."""
    ids = [block.id for block in blocks(layers)]
    rows = [block.id for block in blocks(layers) if block.repeats > 1]
    some = [frozenset(random.Random(seed).sample(ids, len(ids) // 2)) for seed in range(3)]
    return [frozenset(), frozenset(rows), frozenset(ids), *some]


# ---------------------------------------------------------------------------------------------------- folding


def test_resnet50_folds_into_its_blocks():
    assert labels(NETWORKS["ResNet-50"])[7:15] == [
        "conv2_block1",
        "conv2_block2–3",
        "conv3_block1",
        "conv3_block2–4",
        "conv4_block1",
        "conv4_block2–6",
        "conv5_block1",
        "conv5_block2–3",
    ]
    found = {block.id: block for block in blocks(NETWORKS["ResNet-50"])}
    assert len(found["conv2_block1"].layers) == 12
    assert found["conv2_block1"].kind == "residual block"
    assert found["conv4_block2-6"].kind == "5 × residual block"
    assert found["conv4_block2-6"].repeats == 5


def test_opening_a_row_shows_its_blocks_and_opening_one_of_those_its_layers():
    layers = NETWORKS["ResNet-50"]
    opened = labels(layers, {"conv3_block2-4"})
    assert opened[10:13] == ["conv3_block2", "conv3_block3", "conv3_block4"]
    deeper = labels(layers, {"conv3_block2-4", "conv3_block3"})
    assert deeper[11] == "(conv3_block3_1_conv)"
    assert deeper[20:22] == ["(conv3_block3_out)", "conv3_block4"]
    # An inner block says nothing while the row around it is closed.
    assert labels(layers, {"conv3_block3"}) == labels(layers)


def test_mobilenet_v2_folds_blocks_with_and_without_skip():
    kinds = {block.label: block.kind for block in blocks(NETWORKS["MobileNetV2"])}
    assert kinds["block_1"] == "separable block"
    assert kinds["block_2"] == "inverted residual block"
    assert kinds["block_7–9"] == "3 × inverted residual block"
    assert len(graph.fold(NETWORKS["MobileNetV2"])) < 30


def test_inception_and_dense_blocks_are_told_apart():
    assert {block.kind for block in blocks(NETWORKS["Inception"]) if block.repeats == 1} == {"inception block"}
    assert labels(NETWORKS["Inception"])[-3:] == ["(activation_1)", "mixed0–5", "(predictions)"]
    assert labels(NETWORKS["DenseNet"]) == [
        "(input_1)",
        "(pool1)",
        "conv2_block1–8",
        "(pool2)",
        "conv3_block1–8",
        "(pool3)",
        "(predictions)",
    ]


def test_names_that_a_framework_gave_do_not_matter():
    renamed = {layer.name: f"{layer.kind.replace(' ', '_')}_{i}" for i, layer in enumerate(NETWORKS["ResNet-50"])}
    layers = [
        dataclasses.replace(layer, name=renamed[layer.name], inputs=tuple(renamed[name] for name in layer.inputs))
        for layer in NETWORKS["ResNet-50"]
    ]
    assert labels(layers)[7:11] == ["residual 1", "residual 2–3", "residual 4", "residual 5–7"]


def test_depthwise_and_pointwise_convolutions_fold_in_pairs():
    b = examples.Builder()
    b.add("input", "input", (), (32, 32, 3))
    for name in ("conv1", *(f"conv_{part}_{i}" for i in range(1, 9) for part in ("dw", "pw"))):
        b.add(name, "depthwise convolution" if "dw" in name else "convolution", shape=(32, 32, 8), kernel=3)
        b.add(f"{name}_bn", "normalisation")
        b.add(f"{name}_relu", "activation")
    b.add("predictions", "dense", shape=(10,))
    assert labels(b.done()) == ["(input)", "conv1", "separable 1–8", "(predictions)"]


def test_short_networks_are_shown_whole_and_long_plain_ones_are_not():
    assert labels(NETWORKS["LeNet"]) == [f"({layer.name})" for layer in NETWORKS["LeNet"]]
    assert labels(examples.plain(40)) == [f"({layer.name})" for layer in examples.plain(40)]
    assert labels(NETWORKS["plain"]) == ["(input)", "conv_1–59"]


def test_a_network_with_no_layer_that_all_passes_through_still_folds_its_straight_stretches():
    nodes = graph.fold(NETWORKS["U-Net"])
    assert len(nodes) < len(NETWORKS["U-Net"]) * 0.6
    # The outermost level's stretches lie before and after everything that is carried over.
    assert sum(isinstance(node.content, graph.Block) for node in nodes) == 14


@every_network
def test_every_layer_is_shown_exactly_once_however_it_is_folded(layers):
    for expanded in foldings(layers):
        shown = [layer.name for node in graph.fold(layers, expanded) for layer in node.layers]
        assert sorted(shown) == sorted(layer.name for layer in layers)


@every_network
def test_every_layer_can_be_reached_by_opening(layers):
    for layer in layers:
        expanded: set[str] = set()
        for _ in range(3):
            node = next(n for n in graph.fold(layers, expanded) if layer in n.layers)
            if node.content is layer:
                break
            expanded.add(node.content.id)
        assert node.content is layer


@every_network
def test_inputs_come_before_and_belong_to_the_network(layers):
    names = {layer.name: layer for layer in layers}
    for expanded in foldings(layers):
        nodes = graph.fold(layers, expanded)
        for i, node in enumerate(nodes):
            assert all(source < i for source in (*node.inputs, *node.after))
            feeding = {name for layer in node.layers for name in layer.inputs} - {x.name for x in node.layers}
            assert feeding == {
                name for name in feeding if any(names[name] in nodes[source].layers for source in node.inputs)
            }


@every_network
def test_block_ids_are_unique_and_fit_an_address(layers):
    ids = [block.id for block in blocks(layers)]
    assert len(set(ids)) == len(ids)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") for name in ids)


def test_edges_that_lead_nowhere_or_in_a_circle_are_left_out():
    layers = [
        Layer("a", "dense", ("b",), (3,)),
        Layer("b", "dense", ("a", "gone"), (3,)),
        Layer("c", "dense", ("c",), None),
    ]
    nodes = graph.fold(layers)
    assert [node.content.name for node in nodes] == ["a", "b", "c"]
    assert [node.inputs for node in nodes] == [(), (0,), ()]
    assert graph.layout(nodes).boxes[2].x > graph.layout(nodes).boxes[1].right


# ----------------------------------------------------------------------------------------------------- layout


def overlap(a, b, gap: float = 0.0) -> bool:
    return (
        a[0] < b[0] + b[2] + gap and b[0] < a[0] + a[2] + gap and a[1] < b[1] + b[3] + gap and b[1] < a[1] + a[3] + gap
    )


@every_network
def test_nothing_overlaps(layers):
    for expanded in foldings(layers):
        plan = graph.layout(graph.fold(layers, expanded))
        things = [(box.x, box.y, box.width, box.height) for box in plan.boxes]
        for label in plan.labels:
            width = max(texts.text_width(line, texts.SHAPE_SIZE) for line in label.lines)
            things.append((label.x, label.y - 14, width, 28 if len(label.lines) > 1 else 13))
        for frame in plan.frames:
            things.append((frame.x, frame.y + 2, 20 + texts.text_width(frame.label, texts.DETAIL_SIZE), 16))
        things.sort()
        for i, thing in enumerate(things):
            for other in itertools.takewhile(lambda o, right=thing[0] + thing[2]: o[0] < right, things[i + 1 :]):
                assert not overlap(thing, other), (thing, other)
        for x, y, width, height in things:
            assert x >= 0
            assert y >= 0
            assert x + width <= plan.width + 1
            assert y + height <= plan.height


@every_network
def test_edges_run_to_the_right_and_frames_hold_their_nodes(layers):
    for expanded in foldings(layers):
        nodes = graph.fold(layers, expanded)
        plan = graph.layout(nodes)
        assert len(plan.edges) == sum(len(node.inputs) for node in nodes)
        for edge in plan.edges:
            assert plan.boxes[edge.source].right < plan.boxes[edge.target].x
        for frame in plan.frames:
            for node, box in zip(nodes, plan.boxes, strict=True):
                if frame.block in node.inside:
                    assert frame.x < box.x
                    assert box.right < frame.x + frame.width
                    assert frame.y + FRAME_HEADER <= box.y
                    assert box.y + box.height < frame.y + frame.height


def test_the_main_way_is_a_straight_line_and_skips_arch_over_it():
    nodes = graph.fold(NETWORKS["ResNet-50"], {"conv2_block2-3", "conv2_block2"})
    plan = graph.layout(nodes)
    assert len({round(box.middle, 3) for box in plan.boxes if box.main}) == 1
    merge = next(i for i, node in enumerate(nodes) if node.content.kind == "add")
    skip = next(edge for edge in plan.edges if edge.target == merge and edge.source != merge - 1)
    heights = [float(part.split()[1]) for part in skip.path.replace("C", " ").split("H")[0].split("M")[1:]]
    lane = float(skip.path.split("C")[1].split()[5].split("H")[0])
    assert lane < plan.boxes[merge].y - 10 < heights[0]


def test_folded_resnet50_is_wide_as_a_screen_or_two_and_low():
    plan = graph.layout(graph.fold(NETWORKS["ResNet-50"]))
    assert plan.width < 2500
    assert plan.height < 100


def test_texts_are_cut_in_the_middle_to_what_fits():
    assert texts.cut_middle("conv1", 100, 12) == "conv1"
    cut = texts.cut_middle("a_very_long_name_of_a_layer_in_a_nested_model", 120, 12)
    assert cut.startswith("a_very")
    assert cut.endswith("odel")
    assert "…" in cut
    assert texts.text_width(cut, 12) <= 120
    assert texts.text_width("畳み込み", 12) >= 48


def test_a_thousand_layers_take_well_under_a_second():
    tall = tuple(
        Layer(
            f"n{i}",
            "add" if i % 3 == 0 else "convolution",
            tuple({f"n{max(0, i - k)}" for k in (1, 3)}) if i else (),
            None,
        )
        for i in range(1000)
    )
    for layers in (examples.plain(1000), tall, examples.inception(45)):
        picture = graph.svg(layers, expanded={block.id for block in blocks(layers)})
        assert picture.count("data-layer=") == len(layers)


# ---------------------------------------------------------------------------------------------------- picture


def drawn(layers, **options) -> ET.Element:
    return ET.fromstring(graph.svg(layers, **options))


def nodes_of(root: ET.Element) -> list[ET.Element]:
    return [g for g in root.iter(f"{SVG}g") if "graph-node" in g.get("class", "").split()]


@every_network
def test_the_same_layers_give_the_same_picture(layers):
    assert graph.svg(layers, selected=layers[2].name) == graph.svg(list(layers), selected=layers[2].name)


def test_a_node_tells_what_it_is():
    node = next(g for g in nodes_of(drawn(NETWORKS["LeNet"])) if g.get("data-layer") == "conv2")
    assert node.get("role") == "button"
    assert node.get("aria-label") == "conv2, convolution, 8×8×16"
    assert node.find(f"{SVG}title").text.split("\n") == [
        "conv2",
        "convolution (Conv2D)",
        "output 8×8×16",
        "2\u202f416 parameters: kernel 5×5×6×16, bias 16",
        "filters 16, kernel_size 5×5",
    ]


def test_shapes_stand_on_the_edges_where_they_change():
    root = drawn(NETWORKS["LeNet"])
    found = ["".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("class") == "graph-shape"]
    assert found == ["28×28×1", "24×24×6", "12×12×6", "8×8×16", "4×4×16", "256", "120", "84", "10"]
    assert texts.shape_text((None, None, 3)) == "?×?×3"


def test_the_selected_layer_is_marked_or_the_block_that_holds_it():
    layers = NETWORKS["ResNet-50"]
    hidden = [g.get("data-block") for g in nodes_of(drawn(layers, selected="conv3_block3_2_bn"))
              if "graph-holds-selected" in g.get("class")]  # fmt: skip
    assert hidden == ["conv3_block2-4"]
    root = drawn(layers, selected="conv3_block3_2_bn", expanded={"conv3_block2-4", "conv3_block3"})
    shown = [g.get("data-layer") for g in nodes_of(root) if "graph-selected" in g.get("class").split()]
    assert shown == ["conv3_block3_2_bn"]
    handles = [g for g in root.iter(f"{SVG}g") if g.get("class") == "graph-handle"]
    assert [g.get("data-block") for g in handles] == ["conv3_block2-4", "conv3_block3"]
    assert {g.get("aria-expanded") for g in handles} == {"true"}


def test_problems_are_said_on_the_layer_and_on_the_block_that_holds_it():
    layers = [
        dataclasses.replace(layer, problem="A Lambda layer is not run.") if layer.name == "conv2_block1_1_bn" else layer
        for layer in NETWORKS["ResNet-50"]
    ]
    for expanded, name in ((frozenset(), "data-block"), ({"conv2_block1"}, "data-layer")):
        (warned,) = [g for g in nodes_of(drawn(layers, expanded=expanded)) if g.find(f"{SVG}g") is not None]
        assert warned.get(name) in ("conv2_block1", "conv2_block1_1_bn")
        assert "A Lambda layer is not run." in warned.find(f"{SVG}title").text


HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onload='x",
    "]]><!--&amp;&#0;",
    "new\nline\ttab\r",
    "\x00\x07\ufffe\ud800",
    "\u202eright to left",
    "x" * 5000,
    "",
]


def test_hostile_names_stay_text():
    b = examples.Builder()
    b.add("input", "input", (), (3,))
    layers = list(b.done())
    for name in HOSTILE:
        layers.append(Layer(name, name, (layers[-1].name,), (3,), (), {name: name}, name, name))
    picture = graph.svg(layers, selected=HOSTILE[0], expanded=HOSTILE)
    root = ET.fromstring(picture.encode("utf-8"))
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "style", "rect", "g", "path", "text", "tspan", "circle")
    }
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]
    shown = [g.get("data-layer") for g in nodes_of(root)]
    assert shown[1:5] == HOSTILE[:4]
    assert root.findall(f".//{SVG}g[@data-layer='x']") == []
    assert all(len("".join(text.itertext())) < 60 for text in root.iter(f"{SVG}text"))


def test_hostile_names_within_blocks_come_back_whole():
    layers = [dataclasses.replace(x, name=f'{x.name}"<&', inputs=tuple(f'{n}"<&' for n in x.inputs))
              for x in NETWORKS["ResNet-50"]]  # fmt: skip
    root = drawn(layers)
    members = [name for g in nodes_of(root) if g.get("data-block") for name in json.loads(g.get("data-members"))]
    assert 'conv2_block1_1_conv"<&' in members


def test_every_kind_can_be_drawn():
    b = examples.Builder()
    for i, kind in enumerate((*LAYER_KINDS, "kind nobody knows")):
        b.add(f"layer_{i}", kind, shape=(4, 4, 2))
    assert len(nodes_of(drawn(b.done()))) == len(LAYER_KINDS) + 1
    assert {family(kind) for kind in LAYER_KINDS} <= {
        "convolution",
        "dense",
        "pooling",
        "merge",
        "helper",
        "end",
    }


def test_an_empty_network_is_an_empty_picture():
    assert nodes_of(drawn(())) == []
