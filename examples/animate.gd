; animate.gd — the article's picture: an orange line that learns to be the blue one, as line.gif.
(params m b)
(data x [-2 3])
(define (target x) (+ (* 2 x) 1))
(define (model x) (+ (* m x) b))
(define loss (mse (model x) (target x)))
(define r (train loss :lr 0.1 :steps 20))

(animate r :to "line.gif")                ; a picture for each step, also as mp4
(animate r)                               ; without a file it plays in the terminal
; => moving picture of (+ (* 2 x) 1), (+ (* m x) b) over x, 21 frames
(plot (target x) (model x))               ; how it ended: lines over the column, points at its rows
; => picture of (+ (* 2 x) 1), (+ (* m x) b) over x
(plot r)                                  ; the loss, on powers of ten
; => picture of loss over step
(plot loss r)                             ; the loss over m and b, and the path downhill
; => picture of loss over m and b
