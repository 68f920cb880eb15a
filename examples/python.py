"""nablisp inside Python: the article's own code, a fast function, and a session of the language."""

import numpy as np

from nablisp import NablispError, Session, compile, d, params, parse, train, val

# The article's code runs as it stands. Derivatives come tidied; `simplify=False` gives its texts.

x, y = params("x y")
e = x**2 + x * y
print(e)
# => (+ (** x 2) (* x y))
print(d(e, "x"))
# => (+ (* 2 x) y)
print(d(e, "x", simplify=False))
# => (+ (* 1 (+ (* (* 2 (** x 1)) 1) 0)) (* 1 (+ (* y 1) (* x 0))))
print(val(d(e, "x"), {"x": 2, "y": 3}))
# => 7


def target(x):
    return 2 * x + 1


m, b = params("m b")


def model(x):
    return m * x + b


param_vals = {"m": 0, "b": 0}
train_xs = [-2, 3]
train_ys = [target(x) for x in train_xs]
predictions = [model(x) for x in train_xs]
loss = sum((pi - yi) ** 2 for pi, yi in zip(predictions, train_ys)) / len(train_xs)
print(loss)
# => (/ (+ (+ 0 (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2)) 2)

dloss_dm = d(loss, "m")
dloss_db = d(loss, "b")
for _ in range(20):
    grad_m = val(dloss_dm, param_vals)
    grad_b = val(dloss_db, param_vals)
    param_vals["m"] -= 0.1 * grad_m
    param_vals["b"] -= 0.1 * grad_b
print(param_vals)
# => {'m': 2.0010576248168945, 'b': 0.9882707595825195}

# The loop above in one call. A result knows its parameters, history and reason to stop.

result = train(loss, {"m": 0, "b": 0}, lr=0.1, steps=20)
print(result.params, result.status)
# => {'m': 2.0010576248168945, 'b': 0.9882707595825195} steps
print(result.history["loss"][:3])
# => [29.       3.125    0.53125]

# A formula as a function of numbers or arrays.

decay = compile(parse("(* a (exp (* k t)))"), ["a", "k", "t"])
print(decay(2, -0.5, 1.0))
# => 1.2130613194252668
print(decay(2, -0.5, np.array([0.0, 1.0, 2.0])))
# => [2.         1.21306132 0.73575888]

# A session runs the language over your arrays, and says in the user's words what is wrong.

session = Session()
xs = np.linspace(-1, 1, 50)
session.run("(params m b) (define loss (mse (+ (* m x) b) y))", data={"x": xs, "y": target(xs)})
session.run("(train loss :lr 0.5 :steps 20)")
print(session.run("(val (+ (* m x) b) :x 10)"))
# => 20.99601793851475
try:
    session.run("(train (mse (+ (* slope x) b) y))")
except NablispError as error:
    print(error)
# => error: slope has no value: it is neither parameter nor column
#      <input>:1:1
#      1 | (train (mse (+ (* slope x) b) y))
#          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
#      declare it: (params slope)
