; csv.gd — how does a lamp's light grow with its temperature? A law fitted to a file.
; lamp.csv: energy from a carbon filament, per cm² and second, against temperature in 1000 K
; (E. S. Keeping, 1962; the set DanWood of NIST's Statistical Reference Datasets, public domain).
(data "lamp.csv")
(params (scale 1) (power 4))                   ; a black body would have the power 4
(define model (* scale (** temperature power)))
(define loss (mse model energy))

(train loss :by momentum :lr 0.005 :steps 10000 :tol 1e-9)
; => train by momentum: 2,791 steps, loss 2.5843531938458546 → 0.0007195514013818602
;            from                  to      gradient
;     scale     1  0.7688622646582612   3.49203e-10
;     power     4  3.8604055788306524  -9.95146e-10
;     converged: the gradient is zero within the tolerance, at a minimum; 0.301 s

; NIST certifies 0.76886226176 and 3.8604055871, with a sum of squares of 0.0043173084083.
(val (sum (** (- model energy) 2)))  ; => 0.004317308408291161
(val model :temperature [1.5 2 2.5])  ; => [3.678173620351243 11.16725469006907 26.42763962481707]
