"""The regressor of scikit-learn: its own checks, and what a formula means there."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nablisp import parse
from nablisp.sklearn import NablispRegressor

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0, 2, (60, 2))
DECAY = 3 * np.exp(-1.5 * X[:, 0]) + 0.5
LINE = X @ [2.0, -1.0] + 4


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [NablispRegressor(), NablispRegressor("(+ (* m x0) b)")]
)
def test_scikit_learn_is_content(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_line() -> None:
    found = NablispRegressor().fit(X, LINE)
    assert found.formula_ == "(+ (* w0 x0) (* w1 x1) b)"
    assert list(found.params_) == ["w0", "w1", "b"]
    np.testing.assert_allclose(list(found.params_.values()), [2, -1, 4], rtol=1e-9)
    np.testing.assert_allclose(found.predict(X), LINE)
    assert found.score(X, LINE) == pytest.approx(1)


def test_a_curve() -> None:
    y = DECAY + RANDOM.normal(0, 0.01, 60)
    for formula in ("(+ (* a (exp (* k x0))) b)", parse("(+ (* a (exp (* k x0))) b)")):
        found = clone(NablispRegressor(formula, start={"k": -1})).fit(X, y)
        assert found.params_["k"] == pytest.approx(-1.5, abs=0.05)
        assert set(found.se_) == {"a", "k", "b"}
        assert 0 < found.se_["k"] < 0.05
        assert found.result_.status == "converged"
        again = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(again.predict(X), found.predict(X))


def test_columns_of_a_frame_are_features() -> None:
    frame = pd.DataFrame(X, columns=["dose", "petal length"])
    found = NablispRegressor("(+ (* m dose) (* k x1) b)").fit(frame, LINE)
    assert found.params_ == pytest.approx({"m": 2, "k": -1, "b": 4})
    np.testing.assert_allclose(found.predict(frame), LINE)
    assert list(NablispRegressor().fit(frame, LINE).params_) == ["w0", "w1", "b"]


def test_names_that_meet() -> None:
    """The parameters may be called y, like the target."""
    found = NablispRegressor("(+ (* y x0) (* y_ x1) y__)").fit(X, LINE)
    assert found.params_ == pytest.approx({"y": 2, "y_": -1, "y__": 4})


def test_weights() -> None:
    y = LINE + RANDOM.normal(size=60)
    weights = RANDOM.integers(0, 4, 60)
    found = NablispRegressor().fit(X, y, sample_weight=weights)
    expected = LinearRegression().fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="Negative values"):
        NablispRegressor().fit(X, y, sample_weight=-np.ones(60))


def test_bounds() -> None:
    found = NablispRegressor("(+ (* m x0) b)", bounds={"m": (None, 0.5), "b": (2, 3)}).fit(X, LINE)
    assert found.params_["m"] <= 0.5
    assert 2 <= found.params_["b"] <= 3


def test_pipelines_and_searches() -> None:
    line = make_pipeline(StandardScaler(), NablispRegressor())
    np.testing.assert_allclose(line.fit(X, LINE).predict(X), LINE)
    search = GridSearchCV(
        NablispRegressor(start={"k": -1}),
        {"formula": ["(* a (exp (* k x0)))", "(+ (* a (exp (* k x0))) b)"]},
        cv=3,
    )
    search.fit(X, DECAY)
    assert search.best_params_["formula"].endswith("b)")
    assert search.best_score_ == pytest.approx(1)


@pytest.mark.parametrize(
    ("regressor", "words"),
    [
        (NablispRegressor("(* m x2)"), "x2 stands for a feature, and X has 2: x0 to x1"),
        (NablispRegressor("(* m x0)", start={"n": 1}), r"n is no parameter of \(\* m x0\)"),
        (NablispRegressor("(* mass x0)", bounds={"mas": (0, 1)}), "did you mean mass"),
    ],
)
def test_slips(regressor: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        regressor.fit(X, LINE)


def test_without_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try: import nablisp.sklearn\n"
        "except ImportError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "nablisp[sklearn]"' in ran.stdout
