using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>The paper's 2-D networks and steps as one writes them in plain TorchSharp: what Tilt's steps are measured against.</summary>
internal static class PlainTorch
{
    private const double FirstRate = 0.1;
    private const double LastRate = 20;

    /// <summary>α_t and σ_t in float32 tensor operations, as the official code forms them.</summary>
    public static (Tensor Alpha, Tensor Sigma) Marginal(Tensor t)
    {
        var logAlpha = -0.25 * t.square() * (LastRate - FirstRate) - 0.5 * t * FirstRate;
        return (logAlpha.exp(), (1 - (2 * logAlpha).exp()).sqrt());
    }

    public sealed class Fourier : nn.Module<Tensor, Tensor>
    {
        private readonly Tensor _w;

        public Fourier()
            : base(nameof(Fourier))
        {
            _w = randn(16) * 30;
            register_buffer("w", _w.DetachFromDisposeScope());
        }

        public override Tensor forward(Tensor t)
        {
            var angle = t.unsqueeze(-1) * _w * (2 * Math.PI);
            return cat([angle.sin(), angle.cos()], -1);
        }
    }

    public sealed class ScoreNet : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Sequential _embed = nn.Sequential(new Fourier(), nn.Linear(32, 32));
        private readonly Linear _dense1 = nn.Linear(32, 32);
        private readonly Linear _dense2 = nn.Linear(2, 224);
        private readonly Sequential _block = nn.Sequential(
            nn.Linear(256, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 256)
        );
        private readonly Linear _decoder = nn.Linear(256, 2);

        public ScoreNet()
            : base(nameof(ScoreNet))
        {
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor t)
        {
            var u = _dense2.call(x);
            var v = _dense1.call(nn.functional.silu(_embed.call(t)));
            var h = _decoder.call(nn.functional.silu(_block.call(cat([u, v], -1))));
            return h / Marginal(t).Sigma.unsqueeze(-1);
        }
    }

    public sealed class GuidanceNet : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Sequential _embed = nn.Sequential(new Fourier(), nn.Linear(32, 32));
        private readonly Sequential _layers = nn.Sequential(
            nn.Linear(34, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 512),
            nn.SiLU(),
            nn.Linear(512, 1)
        );

        public GuidanceNet()
            : base(nameof(GuidanceNet))
        {
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor t) => _layers.call(cat([x, _embed.call(t)], -1));
    }

    /// <summary>W1: one score step.</summary>
    public static Tensor ScoreStep(ScoreNet network, optim.Optimizer adam, Tensor x0)
    {
        var t = rand(x0.shape[0]) * (1 - 1e-3) + 1e-3;
        var z = randn(x0.shape);
        var (alpha, sigma) = Marginal(t);
        var xt = x0 * alpha.unsqueeze(-1) + z * sigma.unsqueeze(-1);
        var score = network.call(xt, t);
        var loss = (score * sigma.unsqueeze(-1) + z).square().sum(1).mean();
        adam.zero_grad();
        loss.backward();
        adam.step();
        return loss;
    }

    /// <summary>W2: one contrastive guidance step, one t for the whole batch.</summary>
    public static Tensor GuidanceStep(GuidanceNet network, optim.Optimizer adam, Tensor x0, Tensor labels, double beta)
    {
        var t = (rand(1) * (1 - 1e-5) + 1e-5).expand(x0.shape[0]);
        var z = randn(x0.shape);
        var (alpha, sigma) = Marginal(t);
        var xt = x0 * alpha.unsqueeze(-1) + z * sigma.unsqueeze(-1);
        var logits = nn.functional.log_softmax(network.call(xt, t).squeeze(-1), 0);
        var target = nn.functional.softmax(beta * labels, 0);
        var loss = -(target * logits).sum();
        adam.zero_grad();
        loss.backward();
        adam.step();
        return loss;
    }
}
