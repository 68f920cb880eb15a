; quadratic.gd — the article's last experiment: a quadratic that no single learning rate suits.
(params a b c)
(define (target x) (+ (- (** x 2) (* 2 x)) 3))
(define (model x) (+ (* a (** x 2)) (* b x) c))
(define loss (mse (model x) (target x)))

; Three points. The rate that suited the line is too much here.
(data x [-2 1 3])
(train loss :lr 0.1)
; => train by gd: diverged after 7 steps, loss 53.666666666666664 → 53.666666666666664
;        from  to  gradient
;     a     0   0  -66.6667
;     b     0   0   1.33333
;     c     0   0  -12.6667
;     diverged: the loss left all bounds; the best parameters are kept; 0.014 s
;     at step 7 the loss had grown over 1e+10 times its start
;     the largest stable learning rate for this loss is about 0.0287144
;     one rate cannot suit all parameters (condition number 116.8); try
;     :lr ((a 0.01343) (b 0.09403) (c 0.4388))

; A smaller one holds; a and b arrive, and c plods along.
(train loss :lr 0.02 :steps 100)
; => train by gd: 100 steps, loss 53.666666666666664 → 0.1817003444238835
;        from                   to    gradient
;     a   0.0   1.1260461561047843   0.0751803
;     b   0.0  -2.0753662226305503  -0.0449387
;     c   0.0    2.233397972608639   -0.457262
;     steps: all steps were taken; 0.025 s
;     one rate cannot suit all parameters (condition number 116.8); try
;     :lr ((a 0.01343) (b 0.09403) (c 0.4388))

; Ten points, from -4 to 5: x² grows larger, so the rate must shrink, and c is slower still.
(data x (range -4 6))
(reset)
(train loss :lr 0.007 :steps 100)
; => train by gd: 100 steps, loss 171.3 → 1.0262974888796725
;        from                   to    gradient
;     a     0   1.1032525507740492   0.0888472
;     b     0  -2.0660308620884735  -0.0581233
;     c     0   1.4830875727682522    -1.34456
;     steps: all steps were taken; 0.029 s
;     one rate cannot suit all parameters (condition number 304.8); try
;     :lr ((a 0.003513) (b 0.05509) (c 0.4682))

; What the curvature says, in one form: (advise loss). One rate for each parameter, and voilà.
(reset)
(advise loss)
; => advise: the loss is quadratic, so this is exact
;        curvature        rate
;     a      266.6  0.00351256
;     b         17   0.0550853
;     c          2    0.468225
;     largest stable single rate 0.00740304523
;     condition number 304.8: curvature 0.8863 to 270.2
;     steps to 1e-10 of the excess: 1,755 with one rate (0.007379), 47 with one for each parameter
(define r (train loss :lr auto :steps 300))
(< (get r :loss) 1e-20)  ; => true

; Rounded by hand they do, too.
(reset)
(train loss :lr ((a 0.0035) (b 0.055) (c 0.47)) :steps 50)
; => train by gd: 50 steps, loss 171.3 → 1.9806675847550584e-09
;        from                  to      gradient
;     a     0  0.9999961602519647   -0.00102039
;     b     0  -2.000001722076002  -0.000122543
;     c     0  3.0000027255716595  -6.15466e-05
;     steps: all steps were taken; 0.016 s
