"""Where entries come from: what their summaries name by authors and year, in full."""

from __future__ import annotations

WORKS = {
    "Alpaydin and Kaynak 1998": (
        "E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI machine learning repository, 1998"
    ),
    "Barron 2017": "J. T. Barron, Continuously differentiable exponential linear units, arXiv 1704.07483, 2017",
    "Bergstra et al. 2009": (
        "J. Bergstra, G. Desjardins, P. Lamblin and Y. Bengio, Quadratic polynomials learn better image "
        "features, technical report 1337, Université de Montréal, 2009"
    ),
    "Clevert et al. 2016": (
        "D.-A. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by "
        "exponential linear units (ELUs), ICLR, arXiv 1511.07289, 2016"
    ),
    "Courbariaux et al. 2015": (
        "M. Courbariaux, Y. Bengio and J.-P. David, BinaryConnect, NIPS, arXiv 1511.00363, 2015"
    ),
    "Duchi et al. 2011": (
        "J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic "
        "optimization, Journal of Machine Learning Research 12, 2011"
    ),
    "Dugas et al. 2001": (
        "C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau and R. Garcia, Incorporating second-order functional "
        "knowledge for better option pricing, NIPS 13, 2001"
    ),
    "Efron et al. 2004": (
        "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least angle regression, Annals of Statistics 32, 2004"
    ),
    "Elfwing et al. 2018": (
        "S. Elfwing, E. Uchibe and K. Doya, Sigmoid-weighted linear units for neural network function "
        "approximation in reinforcement learning, Neural Networks 107, 2018"
    ),
    "Fisher 1936": ("R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7, 1936"),
    "Forina 1991": "M. Forina et al., PARVUS: an extendible package for data exploration, Genoa, 1991",
    "Glorot and Bengio 2010": (
        "X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, "
        "AISTATS, 2010"
    ),
    "He et al. 2015": (
        "K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV, arXiv 1502.01852, 2015"
    ),
    "He et al. 2016": (
        "K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition, CVPR, arXiv 1512.03385, 2016"
    ),
    "Hendrycks and Gimpel 2016": (
        "D. Hendrycks and K. Gimpel, Gaussian error linear units (GELUs), arXiv 1606.08415, 2016"
    ),
    "Hinton 2012": "G. Hinton, Neural networks for machine learning, lecture 6e, 2012",
    "Howard et al. 2019": "A. Howard et al., Searching for MobileNetV3, ICCV, arXiv 1905.02244, 2019",
    "Huber 1964": (
        "P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964"
    ),
    "Kingma and Ba 2015": (
        "D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR, arXiv 1412.6980, 2015"
    ),
    "Klambauer et al. 2017": (
        "G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, Self-normalizing neural networks, NIPS, "
        "arXiv 1706.02515, 2017"
    ),
    "Krizhevsky 2010": "A. Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010",
    "LeCun et al. 1998": (
        "Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, Efficient BackProp, in Neural Networks: Tricks of "
        "the Trade, 1998"
    ),
    "Loshchilov and Hutter 2017": (
        "I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR, arXiv "
        "1608.03983, 2017"
    ),
    "Loshchilov and Hutter 2019": (
        "I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR, arXiv 1711.05101, 2019"
    ),
    "Maas et al. 2013": (
        "A. L. Maas, A. Y. Hannun and A. Y. Ng, Rectifier nonlinearities improve neural network acoustic "
        "models, ICML workshop, 2013"
    ),
    "Martens 2010": "J. Martens, Deep learning via Hessian-free optimization, ICML, 2010",
    "McCulloch and Pitts 1943": (
        "W. S. McCulloch and W. Pitts, A logical calculus of the ideas immanent in nervous activity, Bulletin"
        " of Mathematical Biophysics 5, 1943"
    ),
    "Minsky and Papert 1969": "M. Minsky and S. Papert, Perceptrons, MIT Press, 1969",
    "Misra 2020": (
        "D. Misra, Mish: a self regularized non-monotonic activation function, BMVC, arXiv 1908.08681, 2020"
    ),
    "Nair and Hinton 2010": (
        "V. Nair and G. E. Hinton, Rectified linear units improve restricted Boltzmann machines, ICML, 2010"
    ),
    "Nesterov 1983": (
        "Y. Nesterov, A method for solving the convex programming problem with convergence rate O(1/k²), "
        "Doklady Akademii Nauk SSSR 269, 1983"
    ),
    "Novikoff 1962": (
        "A. B. J. Novikoff, On convergence proofs on perceptrons, Symposium on the Mathematical Theory of "
        "Automata, 1962"
    ),
    "Polyak 1964": (
        "B. T. Polyak, Some methods of speeding up the convergence of iteration methods, USSR Computational "
        "Mathematics and Mathematical Physics 4, 1964"
    ),
    "Riedmiller and Braun 1993": (
        "M. Riedmiller and H. Braun, A direct adaptive method for faster backpropagation learning: the RPROP "
        "algorithm, IEEE International Conference on Neural Networks, 1993"
    ),
    "Rosenblatt 1958": (
        "F. Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the"
        " brain, Psychological Review 65, 1958"
    ),
    "Rumelhart, Hinton and Williams 1986": (
        "D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning representations by back-propagating errors, "
        "Nature 323, 1986"
    ),
    "Saxe et al. 2014": (
        "A. M. Saxe, J. L. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning "
        "in deep linear neural networks, ICLR, arXiv 1312.6120, 2014"
    ),
    "Sitzmann et al. 2020": (
        "V. Sitzmann, J. N. P. Martel, A. W. Bergman, D. B. Lindell and G. Wetzstein, Implicit neural "
        "representations with periodic activation functions, NeurIPS, arXiv 2006.09661, 2020"
    ),
    "Street, Wolberg and Mangasarian 1993": (
        "W. N. Street, W. H. Wolberg and O. L. Mangasarian, Nuclear feature extraction for breast tumor "
        "diagnosis, SPIE 1905, 1993"
    ),
    "Xu et al. 2015": (
        "B. Xu, N. Wang, T. Chen and M. Li, Empirical evaluation of rectified activations in convolutional "
        "network, arXiv 1505.00853, 2015"
    ),
}
# (kind, name) -> work, where the summary has none
BESIDES = {
    ("activation", "hardshrink"): (
        "D. L. Donoho and I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81, "
        "1994: hard thresholding"
    ),
    ("activation", "hardtanh"): ("R. Collobert, Large scale machine learning, PhD thesis, Université Paris VI, 2004"),
    ("activation", "sigmoid"): f"{WORKS['Rumelhart, Hinton and Williams 1986']}, which trains networks of it",
    ("activation", "softshrink"): (
        "D. L. Donoho and I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81, "
        "1994: soft thresholding"
    ),
    ("activation", "tanh"): f"{WORKS['LeCun et al. 1998']}, which says why it suits better than the sigmoid",
}


def works(kind: str, name: str, summary: str) -> list[str]:
    """The works that an entry comes from: those that its summary names, else what is known besides."""
    named = [work for key, work in WORKS.items() if key in summary]
    besides = BESIDES.get((kind, name))
    return named or ([besides] if besides else [])
