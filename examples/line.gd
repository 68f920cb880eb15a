; line.gd — the article, whole: a line learns to be another line.
(params m b)                              ; trainable, start at 0
(data x [-2 3])                           ; a column
(define (target x) (+ (* 2 x) 1))
(define (model x) (+ (* m x) b))
(define loss (mse (model x) (target x)))

(d loss m)                                ; the derivative, as a formula
; => (* 2 (mean (* x (- (+ (* m x) b) (+ (* 2 x) 1)))))
(train loss :lr 0.1 :steps 20)            ; gradient descent
; => train by gd: 20 steps, loss 29.0 → 0.00013244065166873042
;        from                  to    gradient
;     m     0  2.0010576248168945  0.00201988
;     b     0  0.9882707595825195  -0.0224009
;     steps: all steps were taken; 0.004 s
(val m)                                   ; => 2.0010576248168945
(val b)                                   ; => 0.9882707595825195
(val loss)                                ; => 0.00013244065166873042
(plot (target x) (model x))               ; lines over the column, points at its rows
; => picture of (+ (* 2 x) 1), (+ (* m x) b) over x
