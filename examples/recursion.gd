; recursion.gd — recursion and loops run while a program is read; what they leave is a formula.

; A power, by recursion: the tenth takes five products.
(define (power x n)
  (if (= n 0) 1
    (if (= (mod n 2) 0)
      (power (* x x) (/ n 2))
      (* x (power x (- n 1))))))
(power x 3)  ; => (* x (* (* x x) 1))
(d (power x 10) x)  ; => (* 10 (** x 9))
(power 2 10)  ; => 1024

; Newton's square root, by repeat: from 1 on, each guess r is the mean of itself and a/r.
(define (better a) (lambda (r) (* 0.5 (+ r (/ a r)))))
(define (root a) (repeat 5 (better a) 1))
(repeat 2 (better a) 1)  ; => (* 0.5 (+ (* 0.5 (+ 1 (/ a 1))) (/ a (* 0.5 (+ 1 (/ a 1))))))
(root 2)  ; => 1.414213562373095

; The derivative of the loop, beside that of the true root.
((d root) 2)  ; => 0.35355339059327373
((d sqrt) 2)  ; => 0.35355339059327373

; A polynomial, by fold: Horner's rule.
(define (horner x coefficients)
  (fold (lambda (sum c) (+ (* sum x) c)) 0 coefficients))
(simplify (horner x [a b c]))  ; => (+ (* x (+ (* a x) b)) c)
(d (simplify (horner x [a b c])) x)  ; => (+ (* 2 a x) b)
(horner 0.5 [1 -2 3])  ; => 2.25

; Derivatives of every order, by map over repeat.
(define (derivative e n) (repeat n (lambda (e) (d e x)) e))
(map (lambda (n) (derivative (** x 4) n)) (range 5))
; => [(** x 4) (* 4 (** x 3)) (* 12 (** x 2)) (* 24 x) 24]

; Sixty squarings: written out a tree of 10^18 factors, kept as sixty products.
(define tower (repeat 60 (lambda (x) (* x x)) x))
(val (d tower x) :x 1)  ; => 1.152921504606847e+18
