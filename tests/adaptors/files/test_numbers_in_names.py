from __future__ import annotations

import pytest

from mloscope.adaptors.files.numbers_in_names import Standing, numbers_in, words_in


def standings(name: str) -> list[tuple[str, str]]:
    return [(number.text, number.standing.name) for number in numbers_in(name)]


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("epoch_03", "epoch", 3),
        ("EPOCH12", "epoch", 12),
        ("ModelEpoch12", "epoch", 12),
        ("net_e7", "epoch", 7),
        ("ep-4", "epoch", 4),
        ("12epochs", "epoch", 12),
        ("3_epoch", "epoch", 3),
        ("第3轮", "epoch", 3),
        ("epoch_no_9", "epoch", 9),
        ("after_epoch_2", "epoch", 2),
        ("step=1200", "step", 1200),
        ("global_step_5", "step", 5),
        ("globalStep5", "step", 5),
        ("it100", "step", 100),
        ("lenet_iter_5000", "step", 5000),
        ("rl_10000_steps", "step", 10000),
        ("step_20k", "step", 20000),
        ("1M_steps", "step", 1000000),
        ("step_20101010", "step", 20101010),
        ("cp-0007", "count", 7),
        ("model.ckpt-100", "count", 100),
        ("epoch=-1", "epoch", -1),
    ],
)
def test_a_word_says_that_a_number_is_the_step(name: str, kind: str, value: int) -> None:
    (number,) = [number for number in numbers_in(name) if number.standing == Standing.KEYED]
    assert (number.kind, number.value) == (kind, value)


@pytest.mark.parametrize(
    "name",
    [
        "val_loss-12",
        "acc_48",
        "valacc48",
        "48pct",
        "48_percent",
        "48%",
        "96x96",
        "224x224x3",
        "lr_1e-4",
        "lr1",
        "bs32",
        "batch_size_32",
        "of_50",
        "outof50",
        "out_of_50",
        "32bit",
        "224px",
        "loss8.8e-05",
        "0.93",
        "-.48",
        "0,48",
        "top5",
        "acc_0_48",
        "acc0p48",
    ],
)
def test_measurements_and_settings_are_never_steps(name: str) -> None:
    assert {standing for _, standing in standings(name)} == {"NEVER"}


@pytest.mark.parametrize("name", ["v2", "run3", "seed_1", "fold-4", "exp5", "gpu0", "ResNetV2"])
def test_numbers_of_other_things_stand_last(name: str) -> None:
    assert [standing for _, standing in standings(name)] == ["OTHER"]


@pytest.mark.parametrize("name", ["resnet20", "cifar10_cnn", "vgg16", "m12"])
def test_a_number_in_a_word_is_known_as_such(name: str) -> None:
    assert [standing for _, standing in standings(name)] == ["GLUED"]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("03.0.48", ["03", "0.48"]),
        ("01.12.30", ["01", "12.30"]),
        ("3.0.480000", ["3", "0.480000"]),
        ("0.48.7", ["0.48", "7"]),
        ("01.5", ["01", "5"]),
        ("1.5", ["1.5"]),
        ("4-8.8e-05", ["4", "8.8e-05"]),
    ],
)
def test_a_decimal_and_its_exponent_are_one_number(name: str, texts: list[str]) -> None:
    assert [number.text for number in numbers_in(name)] == texts


@pytest.mark.parametrize(
    "date",
    [
        "20240131",
        "20240131-142501",
        "2024-01-31_14-25",
        "2024_01_31T14:25:01",
        "31-01-2024",
        "Jan31_14-25-01",
        "1706711101",
    ],
)
def test_dates_are_one_number_and_no_step(date: str) -> None:
    for name in (f"epoch03_{date}", f"{date}_epoch03"):
        assert sorted((number.kind, number.standing.name) for number in numbers_in(name)) == [
            ("date", "OTHER"),
            ("epoch", "KEYED"),
        ]


def test_dates_are_ordered_as_time_goes() -> None:
    for names in (["31-01-2024", "01-02-2024"], ["Jan31_14-25-01", "Feb01_00-00-01"], ["20240131", "20240131-0001"]):
        first, second = (numbers_in(name)[0].value or 0 for name in names)
        assert first < second


def test_digests_are_passed_over() -> None:
    assert [number.text for number in numbers_in("3f2e1a9c_epoch4")] == ["4"]


def test_words_of_a_name() -> None:
    assert words_in("BestModel_v2-final.weights") == ["best", "model", "v", "final", "weights"]
