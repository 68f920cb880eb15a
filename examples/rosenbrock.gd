; rosenbrock.gd — no data: down Rosenbrock's curved valley (1960) to its lowest point, (1, 1).
(params (x -1.2) (y 1))
(define valley (+ (** (- 1 x) 2) (* 100 (** (- y (** x 2)) 2))))
(grad valley)  ; => [(- (* -2 (- 1 x)) (* 400 x (- y (** x 2)))) (* 200 (- y (** x 2)))]

; Gradient descent falls to the floor of the valley at once, then creeps along it.
(train valley :lr 0.001 :steps 1000)
; => train by gd: 1,000 steps, loss 24.199999999999996 → 0.45352902482768304
;        from                   to   gradient
;     x  -1.2  0.32726277475284604  -0.941223
;     y     1  0.10401280036956499  -0.617625
;     steps: all steps were taken; 0.048 s
;     one rate cannot suit all parameters (condition number 127); try
;     :lr ((x 0.01125) (y 0.005))

; With momentum as many steps go nearly all the way.
(reset)
(train valley :by momentum :lr 0.001 :steps 1000)
; => train by momentum: 1,000 steps, loss 24.199999999999996 → 2.5050280577861867e-05
;        from                  to     gradient
;     x  -1.2  0.9949990013383995  -0.00201291
;     y     1  0.9900029395568971  -0.00401462
;     steps: all steps were taken; 0.054 s
;     one rate cannot suit all parameters (condition number 2458); try
;     :lr ((x 0.001259) (y 0.005))

; Each parameter at its own pace, until the gradient is small.
(reset)
(train valley :by adam :lr 0.1 :steps 10000 :tol 1e-4)
; => train by adam: 1,325 steps, loss 24.199999999999996 → 2.072088382791491e-08
;        from                  to      gradient
;     x  -1.2  0.9998561292752368  -9.97328e-05
;     y     1  0.9997118091600757  -9.40178e-05
;     converged: the gradient is zero within the tolerance, at a minimum; 0.242 s

; No rates at all: with the exact second derivatives it is a matter of some twenty steps.
(minimize valley :from ((x -1.2) (y 1)) :by newton)
; => minimize by newton: 24 steps, loss 24.199999999999996 → 0
;        from  to  gradient
;     x  -1.2   1         0
;     y     1   1         0
;     gradient norm 0, a minimum: curvature 0.3994 to 1002; 30 evaluations
;     converged: the gradient is zero within the tolerance, at a minimum; 0.011 s
