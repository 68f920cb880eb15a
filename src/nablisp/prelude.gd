; prelude.gd — losses and common models, written in the language itself.
; (help mse) shows the lines below; a definition of your own takes the place of one of these.

; ---- losses: prediction first, truth second ----

; mean of squared errors
(define (mse p y) (mean (** (- p y) 2)))

; mean of absolute errors
(define (mae p y) (mean (abs (- p y))))

; root of the mean of squared errors
(define (rmse p y) (sqrt (mse p y)))

; squared near zero, absolute from delta on: forgiving to outliers
(define (huber p y delta)
  (let ((e (abs (- p y))))
    (mean (where (<= e delta) (* 0.5 (** e 2)) (* delta (- e (* 0.5 delta)))))))

; binary cross-entropy from logits: z any number, y 0 or 1
(define (bce z y) (mean (- (softplus z) (* y z))))

; cross-entropy from logits (one per class, last axis) and class numbers from 0
(define (cross-entropy z y) (mean (- (logsumexp z :axis -1) (pick z y))))

; ---- of vectors ----

; probabilities that sum to 1 along the last axis
(define (softmax z) (exp (log-softmax z)))

; logarithms of softmax
(define (log-softmax z) (- z (expand (logsumexp z :axis -1) -1)))

; the share of rows whose largest logit is at the class number
(define (accuracy z y) (mean (where (= (argmax z :axis -1) y) 1 0)))

; mean of squared differences from the mean
(define (variance v) (mean (** (- v (mean v)) 2)))

; root of the variance
(define (deviation v) (sqrt (variance v)))

; columns to mean 0 and deviation 1
(define (standard v)
  (let ((centered (- v (mean v :axis 0))))
    (/ centered (sqrt (mean (** centered 2) :axis 0)))))

; length of a vector
(define (norm v) (sqrt (sum (** v 2))))

; ---- models ----

; a bell of a height, a center and a width (its standard deviation)
(define (gaussian x height center width)
  (* height (exp (* -0.5 (** (/ (- x center) width) 2)))))

; a peak of a height, a center and a half width at half height
(define (lorentzian x height center width)
  (/ height (+ 1 (** (/ (- x center) width) 2))))

; an S from 0 to height, half way at center, of a steepness
(define (logistic x height center steepness)
  (* height (sigmoid (* steepness (- x center)))))

; a start that decays at a rate
(define (decay x start rate) (* start (exp (- (* rate x)))))

; coefficients, lowest first, by Horner's rule
(define (polynomial x coefficients)
  (fold (lambda (p c) (+ (* p x) c)) 0 (reverse coefficients)))

; a layer: inputs times weights plus biases, then an activation
(define (dense x weights biases activation) (activation (+ (@ x weights) biases)))
