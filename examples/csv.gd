; csv.gd — how far does a car run on before it stops? A law fitted to a file.
; cars.csv: speeds in mph and stopping distances in feet (M. Ezekiel, 1930), as R's data set cars.
(data "cars.csv")
(params reaction braking)                      ; feet per mph, and per mph squared
(define model (+ (* reaction speed) (* braking (** speed 2))))
(define loss (mse model distance))

(define r (train loss :lr ((reaction 0.002) (braking 7e-6)) :by momentum :steps 20000 :tol 1e-6))
(get r :status)  ; => "converged"
(get r :loss)  ; => 216.62233313110184
(val [reaction braking])  ; => [1.23902995643757 0.0901387724307927]
; The normal equations, solved exactly, give 1.23902995651 and 0.0901387724318.
(val (sum (** (- model distance) 2)))  ; => 10831.116656555092
(val model :speed [10 20 30])  ; => [21.404176807454967 60.83610810106846 118.2957938808405]
