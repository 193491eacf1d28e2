using Tilt.Model;

namespace Tilt.Inference;

/// <summary>A policy's whole action as a list of products over memory of its own, ready to run again and again.</summary>
/// <remarks>
/// Before the first evaluation: the states' parts of both networks for all levels of the plan, which include everything the blocks
/// add for state and level. At each evaluation: what depends on the noisy action. The layers of the two networks need nothing of
/// each other, so layer i of both forms one <see cref="Phase"/>. The energy's gradient is written out: forward with the
/// slopes kept, then backward through the transposed layers.
/// One run at a time; within it, one thread or a <see cref="Team"/>. Both give the same bits.
/// </remarks>
internal sealed unsafe class PolicyProgram
{
    // Rows a power of two apart would fall on the same lines of the first-level cache.
    private const int Skew = 16;

    private readonly PolicySetting _setting;
    private readonly int _capacity;
    private readonly int _candidates;
    private readonly int _actions;
    private readonly int _observations;
    private readonly int _levels;
    private readonly List<AlignedFloats> _buffers = [];
    private readonly List<Phase> _before = [];
    private readonly List<Phase> _each = [];
    private readonly Action<int> _work;
    private Team? _team;
    private int _states;

    private readonly float* _observation;
    private readonly float* _y;
    private readonly float* _output;
    private readonly float* _gradient;
    private readonly double[] _base;
    private readonly double[][] _history;

    // What the last layers read.
    private float* _lastInput;
    private nint _lastStride;
    private float* _gradientInput;
    private nint _gradientStride;

    /// <summary>A program.</summary>
    /// <param name="setting">The policy.</param>
    /// <param name="observations">S.</param>
    /// <param name="actions">A.</param>
    /// <param name="capacity">The most states in a run.</param>
    /// <param name="candidates">Samples of each state.</param>
    public PolicyProgram(PolicySetting setting, int observations, int actions, int capacity, int candidates)
    {
        (_setting, _observations, _actions) = (setting, observations, actions);
        (_capacity, _candidates, _levels) = (capacity, candidates, setting.Plan.Steps.Count);
        var rows = (nint)capacity * candidates;
        _observation = Room((nint)capacity * observations);
        _y = Room(rows * actions);
        _output = Room(rows * actions);
        _gradient = Room(rows * actions);
        _base = new double[rows * actions];
        _history = [.. Enumerable.Range(0, setting.Plan.History).Select(_ => new double[rows * actions])];
        _work = Work;

        var before = new List<List<Product>>();
        var each = new List<List<Product>>();
        if (setting.Weights.Residual is { } residual)
        {
            AddResidual(residual, before, each);
        }
        else
        {
            AddStack(setting.Weights.Stack!, setting.ScoreLevels, before, each);
        }
        if (setting.Guided)
        {
            AddStack(setting.Weights.Guidance!, setting.GuidanceLevels!, before, each);
        }
        _before.AddRange(before.Select(products => new Phase(products)));
        _each.AddRange(each.Select(products => new Phase(products)));
    }

    /// <summary>The starting noise of a run, [states·candidates, A]: to be filled before it.</summary>
    public Span<float> Noise(int states) => new(_y, states * _candidates * _actions);

    /// <summary>The observations of a run, [states, S], normalized: to be filled before it.</summary>
    public Span<float> Observations(int states) => new(_observation, states * _observations);

    /// <summary>Samples.</summary>
    /// <param name="states">How many, at most the capacity.</param>
    /// <param name="team">The caller's team, or null to work alone.</param>
    /// <returns>[states·candidates, A]; overwritten by the next run.</returns>
    public ReadOnlySpan<float> Run(int states, Team? team)
    {
        (_states, _team) = (states, team);
        var count = states * _candidates * _actions;
        for (var i = 0; i < count; i++)
        {
            _base[i] = _y[i];
        }
        if (team is null)
        {
            Work(0);
        }
        else
        {
            team.Run(_work);
        }
        _team = null;
        return new(_y, count);
    }

    private void Work(int thread)
    {
        var team = _team;
        foreach (var phase in _before)
        {
            phase.Run(_states, _candidates, _levels, 0, thread, team is null);
            team?.Meet(thread);
        }
        var rows = _states * _candidates;
        var (first, end) =
            team is null ? (0, rows)
            : thread == 0 ? (0, (rows + 1) / 2)
            : ((rows + 1) / 2, rows);
        for (var level = 0; level < _levels; level++)
        {
            foreach (var phase in _each)
            {
                phase.Run(_states, _candidates, _levels, level, thread, team is null);
                team?.Meet(thread);
            }
            Advance(level, first, end);
            team?.Meet(thread);
        }
    }

    /// <summary>The networks' last layers and the solver's step, for some rows.</summary>
    /// <remarks><see cref="SolverPlan"/>: y ← Keep·base + Σₖ Weights[k]·m_(j−k).</remarks>
    private void Advance(int level, int firstRow, int endRow)
    {
        var rows = endRow - firstRow;
        var at = firstRow * _actions;
        var last = _setting.Weights.Residual?.Last ?? _setting.Weights.Stack!.Last!;
        last.Multiply(_lastInput + firstRow * _lastStride, _lastStride, rows, _output + at);
        if (_setting.Guided)
        {
            _setting.Weights.Guidance!.Gradient!.Multiply(
                _gradientInput + firstRow * _gradientStride,
                _gradientStride,
                rows,
                _gradient + at
            );
        }

        var step = _setting.Plan.Steps[level];
        var c = _setting.Combinations[level];
        var newest = _history[level % _history.Length];
        var weights = step.Weights;
        for (var i = at; i < endRow * _actions; i++)
        {
            newest[i] = c.Output * _output[i] + c.State * _y[i] + c.Gradient * _gradient[i];
            var y = step.Keep * _base[i];
            for (var k = 0; k < weights.Count; k++)
            {
                y += weights[k] * _history[(level - k + _history.Length) % _history.Length][i];
            }
            _y[i] = (float)y;
            if (step.Advances)
            {
                _base[i] = y;
            }
        }
    }

    /// <summary>The residual score network: cep.md §11c, items 1 to 5.</summary>
    private void AddResidual(ResidualScoreLayers layers, List<List<Product>> before, List<List<Product>> each)
    {
        // c = SiLU(state layer); m = SiLU(joint(SiLU(joint(c, t)))); what m adds to each block.
        var cWidth = layers.State.Padded;
        var c = Room((nint)_capacity * cWidth);
        Put(
            before,
            0,
            new()
            {
                Layer = layers.State,
                Kind = RowKind.States,
                X = _observation,
                XStride = _observations,
                Y = c,
                YStride = cWidth,
                Epilogue = new() { Activation = Activation.Silu },
            }
        );
        nint jointWidth = layers.JointState.Padded;
        var joint = LevelTable(layers.JointState);
        Put(
            before,
            1,
            AtAllLevels(
                layers.JointState,
                c,
                cWidth,
                0,
                joint,
                new() { Activation = Activation.Silu, Start = new(_setting.ScoreLevels.Start, 0) }
            )
        );
        nint mWidth = layers.Joint.Padded;
        var m = LevelTable(layers.Joint);
        Put(
            before,
            2,
            AtAllLevels(
                layers.Joint,
                joint,
                jointWidth,
                (nint)_capacity * jointWidth,
                m,
                new() { Activation = Activation.Silu }
            )
        );
        var added = new float*[layers.Blocks.Length];
        for (var i = 0; i < added.Length; i++)
        {
            var embedded = layers.Blocks[i].Embedded;
            added[i] = LevelTable(embedded);
            Put(before, 3, AtAllLevels(embedded, m, mWidth, (nint)_capacity * mWidth, added[i], default));
        }

        // Each pair [down, up] lies side by side, as the layers above read it.
        var packing = _setting.Weights.Packing;
        var rows = (nint)_capacity * _candidates;
        var pads = Array.ConvertAll(layers.Blocks, block => packing.Padded(block.Width));
        nint stride1 = pads[0] + pads[5] + Skew;
        nint stride2 = pads[1] + pads[4] + Skew;
        nint stride3 = pads[2] + pads[3] + Skew;
        var d1 = Room(rows * stride1);
        var d2 = Room(rows * stride2);
        var d3 = Room(rows * stride3);
        var phase = 0;
        AddBlock(0, _y, _actions, d1, stride1);
        AddBlock(1, d1, stride1, d2, stride2);
        AddBlock(2, d2, stride2, d3, stride3);
        AddBlock(3, d3, stride3, d3 + pads[2], stride3);
        AddBlock(4, d3, stride3, d2 + pads[1], stride2);
        AddBlock(5, d2, stride2, d1 + pads[0], stride1);
        _lastInput = d1;
        _lastStride = stride1;

        void AddBlock(int index, float* x, nint xStride, float* y, nint yStride)
        {
            var block = layers.Blocks[index];
            nint stride = pads[index] + Skew;
            var a = Room(rows * stride);
            Put(
                each,
                phase,
                AtSamples(
                    block.First,
                    x,
                    xStride,
                    a,
                    stride,
                    new()
                    {
                        Activation = Activation.Silu,
                        Plus = new(added[index], block.Embedded.Padded, _candidates),
                    },
                    plusPerLevel: (nint)_capacity * block.Embedded.Padded
                )
            );
            var skip = new RowValues(x, xStride);
            if (block.Skip is { } layer)
            {
                var s = Room(rows * stride);
                skip = new(s, stride);
                Put(each, phase, AtSamples(layer, x, xStride, s, stride, default));
            }
            Put(
                each,
                phase + 1,
                AtSamples(block.Second, a, stride, y, yStride, new() { Activation = Activation.Silu, Plus = skip })
            );
            phase += 2;
        }
    }

    /// <summary>A network of free depth: values of a score network, the input gradient of an energy network.</summary>
    private void AddStack(
        StackLayers layers,
        AlignedFloats levels,
        List<List<Product>> before,
        List<List<Product>> each
    )
    {
        // Everything but x_t of the first layer's sums.
        nint startWidth = layers.State.Padded;
        var start = LevelTable(layers.State);
        Put(
            before,
            0,
            AtAllLevels(layers.State, _observation, _observations, 0, start, new() { Start = new(levels.Start, 0) })
        );

        var isEnergy = layers.Backward is not null;
        var rows = (nint)_capacity * _candidates;
        PackedLinear[] forward = [layers.Input, .. layers.Hidden];
        var slopes = new float*[forward.Length];
        var x = _y;
        nint xStride = _actions;
        for (var i = 0; i < forward.Length; i++)
        {
            nint stride = forward[i].Padded + Skew;
            var y = Room(rows * stride);
            var epilogue = new Epilogue { Activation = Activation.Silu };
            if (i == 0)
            {
                epilogue.Start = new(start, startWidth, _candidates);
            }
            if (isEnergy && i + 1 < forward.Length)
            {
                epilogue.Slopes = slopes[i] = Room(rows * stride);
            }
            else if (isEnergy)
            {
                // The value itself is of no use: the gradient starts here, at the last layer's weights times the slope.
                epilogue.Activation = Activation.SiluSlope;
                epilogue.Times = new(layers.LastRow!.Start, 0);
            }
            Put(
                each,
                i,
                AtSamples(forward[i], x, xStride, y, stride, epilogue, i == 0 ? (nint)_capacity * startWidth : 0)
            );
            x = y;
            xStride = stride;
        }
        if (!isEnergy)
        {
            _lastInput = x;
            _lastStride = xStride;
            return;
        }
        for (var i = forward.Length - 2; i >= 0; i--)
        {
            nint stride = forward[i].Padded + Skew;
            var y = Room(rows * stride);
            Put(
                each,
                2 * forward.Length - 2 - i,
                AtSamples(layers.Backward![i], x, xStride, y, stride, new() { Times = new(slopes[i], stride) })
            );
            x = y;
            xStride = stride;
        }
        _gradientInput = x;
        _gradientStride = xStride;
    }

    private static void Put(List<List<Product>> phases, int index, Product product)
    {
        while (phases.Count <= index)
        {
            phases.Add([]);
        }
        phases[index].Add(product);
    }

    /// <summary>Room for a layer's outputs of all levels and states: [levels, capacity, padded].</summary>
    private float* LevelTable(PackedLinear layer) => Room((nint)_levels * _capacity * layer.Padded);

    private Product AtAllLevels(
        PackedLinear layer,
        float* x,
        nint xStride,
        nint xPerLevel,
        float* y,
        Epilogue epilogue
    ) =>
        new()
        {
            Layer = layer,
            Kind = RowKind.LevelsAndStates,
            X = x,
            XStride = xStride,
            XPerLevel = xPerLevel,
            Y = y,
            YStride = layer.Padded,
            YPerLevel = (nint)_capacity * layer.Padded,
            Epilogue = epilogue,
            StartPerLevel = epilogue.Start.Exist ? layer.Padded : 0,
        };

    private static Product AtSamples(
        PackedLinear layer,
        float* x,
        nint xStride,
        float* y,
        nint yStride,
        Epilogue epilogue,
        nint startPerLevel = 0,
        nint plusPerLevel = 0
    ) =>
        new()
        {
            Layer = layer,
            Kind = RowKind.Samples,
            X = x,
            XStride = xStride,
            Y = y,
            YStride = yStride,
            Epilogue = epilogue,
            StartPerLevel = startPerLevel,
            PlusPerLevel = plusPerLevel,
        };

    private float* Room(nint count)
    {
        // A vector may be read past the end of the last row.
        var room = new AlignedFloats(count + Skew);
        _buffers.Add(room);
        return room.Start;
    }
}
