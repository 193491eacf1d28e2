using Tilt.Model;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Tilt.Bench;

/// <summary>The paper's action networks and sampler as one writes them in plain TorchSharp: what Tilt's acting is measured against.</summary>
/// <remarks>
/// As the official code has it, but for two things that would flatter the comparison: at scale 0 the guidance network is not
/// evaluated, and temporaries are freed after each evaluation.
/// </remarks>
internal sealed class PlainTorchPolicy : IDisposable
{
    private readonly ScoreNet _score;
    private readonly GuidanceNet _guidance;
    private readonly double[] _times = TimeGrid.Times(Schedule, TimeSpacing.Uniform, 15, 1, 1e-3);

    private static LinearSchedule Schedule { get; } = new();

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
        var x = noise.alias();
        for (var i = 0; i + 2 < _times.Length; i += 2)
        {
            using var step = NewDisposeScope();
            var (s, s1, t) = (Schedule.At(_times[i]), Schedule.At(_times[i + 1]), Schedule.At(_times[i + 2]));
            var (h, r1) = (t.Lambda - s.Lambda, (s1.Lambda - s.Lambda) / (t.Lambda - s.Lambda));
            var clean = Clean(x, s, states, scale);
            var inner = s1.Sigma / s.Sigma * x - s1.Alpha * Numerics.ExpM1(-r1 * h) * clean;
            var clean1 = Clean(inner, s1, states, scale);
            var phi = Numerics.ExpM1(-h);
            x = (
                t.Sigma / s.Sigma * x - t.Alpha * phi * clean - 0.5 / r1 * (t.Alpha * phi) * (clean1 - clean)
            ).MoveToOuterDisposeScope();
        }
        {
            var (s, t) = (Schedule.At(_times[^2]), Schedule.At(_times[^1]));
            var clean = Clean(x, s, states, scale);
            x = t.Sigma / s.Sigma * x - t.Alpha * Numerics.ExpM1(s.Lambda - t.Lambda) * clean;
        }
        return x.MoveToOuterDisposeScope();
    }

    private Tensor Clean(Tensor x, NoiseLevel level, Tensor states, double scale)
    {
        using var scope = NewDisposeScope();
        var t = full([x.shape[0]], level.Time);
        var score = _score.call(x, t, states);
        if (scale != 0)
        {
            using var recording = enable_grad();
            var input = x.detach().requires_grad_();
            var value = _guidance.call(input, t, states).sum();
            score = score + scale * autograd.grad([value], [input])[0];
        }
        return ((x + level.Sigma * level.Sigma * score) / level.Alpha).MoveToOuterDisposeScope();
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

    private sealed class ScoreNet : nn.Module<Tensor, Tensor, Tensor, Tensor>
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

    private sealed class GuidanceNet : nn.Module<Tensor, Tensor, Tensor, Tensor>
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
