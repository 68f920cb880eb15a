; csv.gd — how far does a car run on before it stops? A law fitted to a file.
; cars.csv: speeds in mph and stopping distances in feet (M. Ezekiel, 1930), as R's data set cars.
(data "cars.csv")
(params reaction braking)                      ; feet per mph, and per mph squared
(define model (+ (* reaction speed) (* braking (** speed 2))))
(define loss (mse model distance))

(train loss :lr ((reaction 0.002) (braking 7e-6)) :by momentum :steps 20000 :tol 1e-6)
; => train by momentum: 404 steps, loss 2498.06 → 216.62233313110184
;               from                   to      gradient
;     reaction     0   1.2390299564375697  -4.72337e-08
;     braking      0  0.09013877243079271   -8.8563e-07
;     converged: the gradient is zero within the tolerance, at a minimum; 0.033 s
; The normal equations, solved exactly, give 1.23902995651 and 0.0901387724318.
(val (sum (** (- model distance) 2)))  ; => 10831.116656555092
(val model :speed [10 20 30])  ; => [21.404176807454967 60.83610810106846 118.2957938808405]
