; line.gd — the article, whole: a line learns to be another line.
(params m b)                              ; trainable, start at 0
(data x [-2 3])                           ; a column
(define (target x) (+ (* 2 x) 1))
(define (model x) (+ (* m x) b))
(define loss (mse (model x) (target x)))

(d loss m)                                ; the derivative, as a formula
(train loss :lr 0.1 :steps 20)            ; gradient descent
(val m)                                   ; => 2.0010576248168945
(val b)
(val loss)
