using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>The paper's action networks and sampler in plain TorchSharp, operation by operation as the published code has them.</summary>
/// <remarks>
/// Times are vectors of the batch's length, and the schedule and the solver's coefficients are tensor operations on them
/// (dpm-solver.md §11). Two things that would flatter the comparison are left out: at scale 0 the guidance network is not
/// evaluated, and temporaries are freed after each evaluation.
/// </remarks>
internal sealed class PlainTorchPolicy : IDisposable
{
    private const int Evaluations = 15;
    private readonly ScoreNet _score;
    private readonly GuidanceNet _guidance;

    public PlainTorchPolicy(long states, long actions)
    {
        _score = new(states, actions);
        _guidance = new(states, actions);
    }

    /// <summary>Samples with DPM-Solver++ singlestep of order 2, 15 evaluations, times equally spaced.</summary>
    public Tensor Sample(Tensor states, Tensor noise, double scale)
    {
        using var whole = NewDisposeScope();
        using var sampling = no_grad();
        var times = linspace(1, 1e-3, Evaluations + 1);
        var x = noise.alias();
        for (var i = 0; i + 2 < Evaluations + 1; i += 2)
        {
            using var step = NewDisposeScope();
            var inner = Schedule.Lambda(times.narrow(0, i, 3));
            var r1 = (inner[1] - inner[0]) / (inner[2] - inner[0]);
            var vector = ones([x.shape[0]]);
            x = Second(x, vector * times[i], vector * times[i + 2], r1, states, scale).MoveToOuterDisposeScope();
        }
        {
            using var step = NewDisposeScope();
            var vector = ones([x.shape[0]]);
            var (s, t) = (vector * times[Evaluations - 1], vector * times[Evaluations]);
            var h = Schedule.Lambda(t) - Schedule.Lambda(s);
            var (sigmaS, sigmaT, alphaT) = (Schedule.Sigma(s), Schedule.Sigma(t), Schedule.Alpha(t));
            var phi = (-h).expm1();
            var clean = Clean(x, s, states, scale);
            x = (Column(sigmaT / sigmaS) * x - Column(alphaT * phi) * clean).MoveToOuterDisposeScope();
        }
        return x.MoveToOuterDisposeScope();
    }

    private Tensor Second(Tensor x, Tensor s, Tensor t, Tensor r1, Tensor states, double scale)
    {
        using var scope = NewDisposeScope();
        var (lambdaS, lambdaT) = (Schedule.Lambda(s), Schedule.Lambda(t));
        var h = lambdaT - lambdaS;
        var s1 = Schedule.TimeOf(lambdaS + r1 * h);
        var (sigmaS, sigmaS1, sigmaT) = (Schedule.Sigma(s), Schedule.Sigma(s1), Schedule.Sigma(t));
        var (alphaS1, alphaT) = (Schedule.Alpha(s1), Schedule.Alpha(t));
        var (phi11, phi1) = ((-r1 * h).expm1(), (-h).expm1());

        var clean = Clean(x, s, states, scale);
        var x1 = Column(sigmaS1 / sigmaS) * x - Column(alphaS1 * phi11) * clean;
        var clean1 = Clean(x1, s1, states, scale);
        return (
            Column(sigmaT / sigmaS) * x
            - Column(alphaT * phi1) * clean
            - 0.5 / r1 * Column(alphaT * phi1) * (clean1 - clean)
        ).MoveToOuterDisposeScope();
    }

    private Tensor Clean(Tensor x, Tensor t, Tensor states, double scale)
    {
        using var scope = NewDisposeScope();
        var score = _score.call(x, t, states);
        if (scale != 0)
        {
            using var recording = enable_grad();
            var input = x.detach().requires_grad_();
            var value = _guidance.call(input, t, states).sum();
            score = score + scale * autograd.grad([value], [input])[0];
        }
        var noise = -Column(Schedule.Sigma(t)) * score;
        return ((x - Column(Schedule.Sigma(t)) * noise) / Column(Schedule.Alpha(t))).MoveToOuterDisposeScope();
    }

    private static Tensor Column(Tensor vector) => vector.unsqueeze(-1);

    /// <summary>The linear schedule in tensor operations.</summary>
    private static class Schedule
    {
        private const double FirstRate = 0.1;
        private const double LastRate = 20;

        public static Tensor LogAlpha(Tensor t) => -0.25 * t.square() * (LastRate - FirstRate) - 0.5 * t * FirstRate;

        public static Tensor Alpha(Tensor t) => LogAlpha(t).exp();

        public static Tensor Sigma(Tensor t) => (1 - (2 * LogAlpha(t)).exp()).sqrt();

        public static Tensor Lambda(Tensor t)
        {
            var logAlpha = LogAlpha(t);
            return logAlpha - 0.5 * (1 - (2 * logAlpha).exp()).log();
        }

        public static Tensor TimeOf(Tensor lambda)
        {
            var tmp = 2 * (LastRate - FirstRate) * logaddexp(-2 * lambda, zeros(1));
            var delta = FirstRate * FirstRate + tmp;
            return tmp / (delta.sqrt() + FirstRate) / (LastRate - FirstRate);
        }
    }

    public void Dispose()
    {
        _score.Dispose();
        _guidance.Dispose();
    }

    private sealed class Block : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Sequential _time;
        private readonly Sequential _dense1;
        private readonly Sequential _dense2;
        private readonly nn.Module<Tensor, Tensor> _modify;

        public Block(long inputs, long outputs)
            : base(nameof(Block))
        {
            _time = nn.Sequential(nn.SiLU(), nn.Linear(128, outputs));
            _dense1 = nn.Sequential(nn.Linear(inputs, outputs), nn.SiLU());
            _dense2 = nn.Sequential(nn.Linear(outputs, outputs), nn.SiLU());
            _modify = inputs == outputs ? nn.Identity() : nn.Linear(inputs, outputs);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor t) =>
            _dense2.call(_dense1.call(x) + _time.call(t)) + _modify.call(x);
    }

    internal sealed class ScoreNet : nn.Module<Tensor, Tensor, Tensor, Tensor>
    {
        private readonly Sequential _embed = nn.Sequential(new PlainTorch.Fourier(), nn.Linear(32, 32));
        private readonly Sequential _state;
        private readonly Sequential _sort = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 128));
        private readonly Block _down1;
        private readonly Block _down2 = new(512, 256);
        private readonly Block _down3 = new(256, 128);
        private readonly Block _middle = new(128, 128);
        private readonly Block _up3 = new(256, 256);
        private readonly Block _up2 = new(512, 512);
        private readonly Linear _last;

        public ScoreNet(long states, long actions)
            : base(nameof(ScoreNet))
        {
            _state = nn.Sequential(nn.Linear(states, 32), nn.SiLU());
            _down1 = new(actions, 512);
            _last = nn.Linear(1024, actions);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor t, Tensor states)
        {
            var m = _sort.call(cat([_state.call(states), _embed.call(t)], -1));
            var d1 = _down1.call(x, m);
            var d2 = _down2.call(d1, m);
            var d3 = _down3.call(d2, m);
            var u3 = _up3.call(cat([d3, _middle.call(d3, m)], -1), m);
            var u2 = _up2.call(cat([d2, u3], -1), m);
            var h = _last.call(cat([d1, u2], -1));
            return h / PlainTorch.Marginal(t).Sigma.unsqueeze(-1);
        }
    }

    internal sealed class GuidanceNet : nn.Module<Tensor, Tensor, Tensor, Tensor>
    {
        private readonly Sequential _embed = nn.Sequential(new PlainTorch.Fourier(), nn.Linear(32, 32));
        private readonly Sequential _layers;

        public GuidanceNet(long states, long actions)
            : base(nameof(GuidanceNet))
        {
            _layers = nn.Sequential(
                nn.Linear(actions + 32 + states, 256),
                nn.SiLU(),
                nn.Linear(256, 256),
                nn.SiLU(),
                nn.Linear(256, 256),
                nn.SiLU(),
                nn.Linear(256, 256),
                nn.SiLU(),
                nn.Linear(256, 1)
            );
            RegisterComponents();
        }

        public override Tensor forward(Tensor x, Tensor t, Tensor states) =>
            _layers.call(cat([x, _embed.call(t), states], -1));
    }
}
