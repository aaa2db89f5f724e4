"""Which number of a name is the step: tables of names as people write them."""

from __future__ import annotations

import pytest

from mloscope.adaptors.files.checkpoint_steps import is_special, read_steps


def steps(*names: str) -> list[int | None]:
    reading = read_steps(names)
    return [reading.steps.get(name) for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["weight.01.0.29", "weight.02.0.62", "weight.03.0.48"], [1, 2, 3]),
        (["weights.3-0.00027", "weights.4-8.8e-05"], [3, 4]),
        (["ckpt_epoch=04-val_loss=8.800e-05", "ckpt_epoch=05-val_loss=3.9e-05"], [4, 5]),
        (["weights.01-12.30", "weights.02-11.00"], [1, 2]),
        (["weights.01--0.10", "weights.02--1.25"], [1, 2]),
        (["model_1_outof_50", "model_2_outof_50"], [1, 2]),
        (["3of50", "4of50"], [3, 4]),
        (["epoch_01_resnet20_96x96", "epoch_02_resnet20_96x96"], [1, 2]),
        (["epoch_01_acc_62pct", "epoch_02_acc_48pct"], [1, 2]),
        (["epoch01_20240131-142501", "epoch02_20240131-142502"], [1, 2]),
        (["20240131_epoch3", "20240201_epoch4"], [3, 4]),
        (["run3_seed1_epoch11", "run3_seed1_epoch12"], [11, 12]),
        (["epoch_01_lr_1e-4", "epoch_02_lr_1e-4"], [1, 2]),
        (["cifar10_ResNet20v1_model.135", "cifar10_ResNet20v1_model.140"], [135, 140]),
        (["resnet50_0012_0.893", "resnet50_0013_0.771"], [12, 13]),
        (["mobilenetv2_b32_000100", "mobilenetv2_b32_000200"], [100, 200]),
        (["10epochs_run_3", "10epochs_run_4"], [3, 4]),
        (["rl_model_5k_steps", "rl_model_500_steps"], [5000, 500]),
        (["m9", "m10"], [9, 10]),
        (["s100", "s200"], [100, 200]),
        (["x-5-6", "x-7-6"], [5, 7]),
        (["0.93", "0.95"], [None, None]),
        (["ep003-loss4.302-val_loss4.1", "ep006-loss3.9-val_loss3.8"], [3, 6]),
        (["1-8.91", "2-7.91"], [1, 2]),
        (["epoch_01/model", "epoch_02/model"], [1, 2]),
        (["run_1/epoch_4/ckpt", "run_1/epoch_5/ckpt"], [4, 5]),
        (["lenet-0001", "other-0002"], [1, 2]),
        (["at_1", "at_2", "other_1"], [1, 2, 1]),
        (["best_epoch_3", "best_epoch_9"], [3, 9]),
        (["epoch_5.0", "epoch_6.0"], [5, 6]),
        (["alexnet_128f_01", "alexnet_128f_02"], [1, 2]),
        (["epoch_-1", "epoch_0", "epoch_1"], [-1, 0, 1]),
        (["epoch_1_epoch_50", "epoch_2_epoch_50"], [1, 2]),
        (["epoch_50_epoch_1", "epoch_50_epoch_2"], [1, 2]),
        (["1.9", "1.10"], [109, 110]),
        (["v1.3", "v7.4", "v2.5"], [None, None, None]),
        (["v1.3", "v7.3", "v2.5"], [None, None, None]),
        (["v2.3", "v2.4", "v2.7"], [3, 4, 7]),
        (["v1.1", "v2.1", "v3.1"], [1, 2, 3]),
        (["0.1", "0.2"], [None, None]),
        (["epoch_.5", "epoch_1.5"], [0, 1]),
        (["epoch_1.5", "epoch_1.5"], [None, None]),
        (["a1b", "a2b"], [1, 2]),
        (["acc_93_epoch_1", "acc_94_epoch_2"], [1, 2]),
        (["acc_93", "acc_94"], [None, None]),
        (["0.93-5", "0.94-6"], [5, 6]),
        (["step1-10", "step1-20", "step1-30", "step1-40", "step2-50"], [10, 20, 30, 40, 50]),
        (["step1-10", "step1-20", "step1-30", "step2-40"], [1, 1, 1, 2]),
        (["10", "net/04-_8", "net/05-_11"], [10, 4, 5]),  # the leftmost
        (["e1_b1", "e1_b2_x7", "e2_b1"], [11, 12, 21]),
        (["e1_b1_c1", "e1_b2_c9", "e2_b1_c3"], [11, 12, 21]),
    ],
)
def test_steps_of_a_run(names: list[str], expected: list[int]) -> None:
    assert steps(*names) == expected


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("weights.03-0.95", 3),
        ("cp-0012", 12),
        ("run3_step000700", 700),
        ("cifar10_ResNet20v1_model.135", 135),
        ("lenet-0003", 3),
        ("cifar10_cnn", None),
        ("resnet50_imagenet", None),
        ("efficientnet-50", None),
        ("model_v2", None),
        ("acc_93", None),
        ("10-5", None),
        ("135", 135),
        ("epoch_0.5", None),
        ("final", None),
        ("", None),
    ],
)
def test_the_step_of_a_single_file(name: str, step: int | None) -> None:
    assert steps(name) == [step]


def test_step_and_epoch_of_one_name() -> None:
    reading = read_steps(["epoch=3-step=1200", "epoch=4-step=1600"])
    assert reading.steps == {"epoch=3-step=1200": 1200, "epoch=4-step=1600": 1600}
    assert reading.epochs == {"epoch=3-step=1200": 3.0, "epoch=4-step=1600": 4.0}
    assert reading.doubts == []


def test_steps_that_begin_again_in_each_epoch_are_placed_by_both() -> None:
    reading = read_steps(["e1_b100", "e1_b200", "e2_b100"])
    assert list(reading.steps.values()) == [1100, 1200, 2100]
    assert list(reading.labels.values()) == ["1.100", "1.200", "2.100"]
    assert list(reading.epochs.values()) == [1.0, 1.0, 2.0]
    assert "1000 is the beginning of epoch 1" in reading.doubts[0]


def test_steps_that_go_on_from_epoch_to_epoch_are_the_steps() -> None:
    assert steps("epoch1_000100", "epoch1_000200", "epoch2_000300") == [100, 200, 300]
    assert steps("epoch5_000100", "epoch5_000200") == [100, 200]


def test_fractions_of_an_epoch() -> None:
    reading = read_steps(["epoch_0.5", "epoch_1.0", "epoch_1.25"])
    assert list(reading.steps.values()) == [50, 100, 125]
    assert list(reading.epochs.values()) == [0.5, 1.0, 1.25]
    assert "counted in 0.01;" in reading.doubts[0]
    assert steps("net.10.9", "net.10.10") == steps("v10.9", "v10.10") == [1009, 1010]


def test_best_and_last_beside_epochs_have_no_place() -> None:
    names = ["best_model_v2", "last", "final", "best_epoch_2", "weights.01-1.44", "weights.02-1.37"]
    reading = read_steps(names)
    assert reading.steps == {"weights.01-1.44": 1, "weights.02-1.37": 2}
    assert reading.special == ("best_model_v2", "last", "final", "best_epoch_2")
    assert reading.why_not == {}
    assert read_steps(["best", "last"]).special == ("best", "last")
    assert read_steps(["best_2", "notes"]).special == ()


def test_a_name_that_lacks_what_the_others_have_is_no_step() -> None:
    reading = read_steps(["weights.01-1.44", "weights.02-1.37", "train_signs_64", "init"])
    assert reading.steps == {"weights.01-1.44": 1, "weights.02-1.37": 2}
    assert "weights" in reading.why_not["train_signs_64"]
    assert "no whole number" in reading.why_not["init"]


def test_what_is_doubtful_is_said() -> None:
    assert read_steps(["epoch_1", "epoch_2"]).doubts == []
    assert read_steps(["0001", "0002"]).doubts == []
    assert read_steps(["7-m3", "8-m2", "9-m1"]).doubts == []
    assert read_steps(["2-7", "1-6"]).doubts == []
    assert "2 in 2-1" in read_steps(["2-1", "1-2"]).doubts[0]
    seeds = read_steps(["seed_1", "seed_2"])
    assert list(seeds.steps.values()) == [1, 2]
    assert "seed" in seeds.doubts[0]
    several = read_steps(["a-10-3", "b-11-1", "c-12-2"])
    assert list(several.steps.values()) == [10, 11, 12]
    assert "10 in a-10-3" in several.doubts[0]
    assert "3 could be" in several.doubts[0]
    saved = read_steps(["weights-01-7", "weights-02-3"])
    assert list(saved.steps.values()) == [1, 2]
    assert "7 could be" in saved.doubts[0]
    assert "resnet" in read_steps(["resnet18", "resnet34"]).doubts[0]
    assert "abc" in read_steps(["abc1", "abc2"]).doubts[0]
    assert read_steps(["ab1", "ab2"]).doubts == []


def test_dates_alone_give_an_order() -> None:
    reading = read_steps(["model_20240201-000001", "model_20240131-142501"])
    assert reading.steps == {"model_20240131-142501": 1, "model_20240201-000001": 2}
    assert reading.labels["model_20240201-000001"] == "20240201-000001"
    assert "dates" in reading.doubts[0]
    twice = read_steps(["a_d20240101", "b_d20240102", "c_d20240102"])
    assert list(twice.steps.values()) == [1, 2, 2]


def test_an_epoch_without_another_number_is_the_step_itself() -> None:
    assert read_steps(["epoch_3", "epoch_4"]).epochs == {}
    within = read_steps(["e1_b1", "e1_b2"])
    assert (list(within.steps.values()), list(within.epochs.values()), within.labels) == ([1, 2], [1.0, 1.0], {})


def test_decimals_say_how_they_were_read() -> None:
    for names, expected in (
        (["v2.3", "v2.4"], "behind the dot (2.3 in v2.3)"),
        (["v1.1", "v2.2"], "before the dot (1.1 in v1.1)"),
        (["1.9", "1.10"], "1.9 in 1.9, read as two numbers"),
        (["epoch_0.5", "epoch_1.0", "epoch_1.25"], "0.5 in epoch_0.5, counted in 0.01"),
    ):
        assert expected in read_steps(names).doubts[0]
    assert read_steps(["1.9", "1.10"]).labels == {"1.9": "1.9", "1.10": "1.10"}
    assert read_steps(["step_0.5", "step_1.0", "step_1.25"]).epochs == {}


@pytest.mark.parametrize(
    "name", ["best", "model_best", "BestModel", "bestmodel", "final.weights", "last", "latest_ckpt"]
)
def test_names_that_stand_beside(name: str) -> None:
    assert is_special(name)


@pytest.mark.parametrize("name", ["lastfm_3", "finalist_2", "everest", "epoch_3"])
def test_names_that_only_sound_like_it(name: str) -> None:
    assert not is_special(name)
