namespace Tilt.Inference;

/// <summary>What the rows of a product are.</summary>
internal enum RowKind
{
    /// <summary>States: once per action.</summary>
    States,

    /// <summary>Pairs of level and state: all levels at once, once per action.</summary>
    LevelsAndStates,

    /// <summary>Samples, a state's candidates side by side: at every evaluation.</summary>
    Samples,
}

/// <summary>One product of a policy's evaluation: a layer, and where its rows come from and go.</summary>
internal sealed unsafe class Product
{
    public required PackedLinear Layer { get; init; }
    public required RowKind Kind { get; init; }
    public required float* X { get; init; }
    public required nint XStride { get; init; }
    public required float* Y { get; init; }
    public required nint YStride { get; init; }

    /// <summary>What happens to the sums. Its row values are those of level 0.</summary>
    public Epilogue Epilogue;

    /// <summary>How far X, Y, Start and Plus move from level to level.</summary>
    public nint XPerLevel { get; init; }
    public nint YPerLevel { get; init; }
    public nint StartPerLevel { get; init; }
    public nint PlusPerLevel { get; init; }

    /// <summary>Multiplications for one row, which is what threads share equally.</summary>
    public long Work => (long)Layer.Padded * Layer.Inputs;

    /// <summary>Carries out some panels at one level.</summary>
    public void Run(int rows, int level, int firstPanel, int endPanel)
    {
        var epilogue = Epilogue;
        if (epilogue.Start.Exist)
        {
            epilogue.Start = epilogue.Start.Moved(level * StartPerLevel);
        }
        if (epilogue.Plus.Exist)
        {
            epilogue.Plus = epilogue.Plus.Moved(level * PlusPerLevel);
        }
        Layer.Multiply(
            X + level * XPerLevel,
            XStride,
            rows,
            Y + level * YPerLevel,
            YStride,
            epilogue,
            firstPanel,
            endPanel
        );
    }

    /// <summary>Carries out some panels at every level for a single state: levels are the rows then.</summary>
    public void RunLevels(int levels, int firstPanel, int endPanel)
    {
        var epilogue = Epilogue;
        if (epilogue.Start.Exist)
        {
            epilogue.Start = new(epilogue.Start.At, StartPerLevel);
        }
        Layer.Multiply(X, XPerLevel, levels, Y, YPerLevel, epilogue, firstPanel, endPanel);
    }
}

/// <summary>Products that need nothing of each other, so that threads may do them, and parts of them, at the same time.</summary>
internal sealed class Phase
{
    private readonly Product[] _products;
    private readonly (int Product, int First, int End)[][] _shares = new (int, int, int)[Team.Size][];
    private readonly (int Product, int First, int End)[] _all;

    /// <summary>A phase of these products.</summary>
    public Phase(IEnumerable<Product> products)
    {
        _products = [.. products];
        _all = [.. _products.Select((product, i) => (i, 0, product.Layer.Panels))];

        // Panels in a row, cut where half of the work is done: each thread then reads one stretch of memory.
        var total = _products.Sum(product => product.Work);
        var done = 0L;
        var shares = _shares.Select(_ => new List<(int, int, int)>()).ToArray();
        for (var i = 0; i < _products.Length; i++)
        {
            var panels = _products[i].Layer.Panels;
            var each = _products[i].Work / panels;
            var mine = Math.Clamp((int)Math.Round((total / 2.0 - done) / each), 0, panels);
            if (mine > 0)
            {
                shares[0].Add((i, 0, mine));
            }
            if (mine < panels)
            {
                shares[1].Add((i, mine, panels));
            }
            done += _products[i].Work;
        }
        for (var thread = 0; thread < Team.Size; thread++)
        {
            _shares[thread] = [.. shares[thread]];
        }
    }

    /// <summary>Does one thread's share, or all where it is alone.</summary>
    /// <param name="states">How many states there are.</param>
    /// <param name="candidates">Samples of each.</param>
    /// <param name="levels">Levels of the plan.</param>
    /// <param name="level">The level of this evaluation; 0 where a product's rows include levels.</param>
    /// <param name="thread">Which thread.</param>
    /// <param name="alone">Whether there is no other.</param>
    public void Run(int states, int candidates, int levels, int level, int thread, bool alone)
    {
        foreach (var (index, first, end) in alone ? _all : _shares[thread])
        {
            var product = _products[index];
            switch (product.Kind)
            {
                case RowKind.Samples:
                    product.Run(states * candidates, level, first, end);
                    break;
                case RowKind.States:
                    product.Run(states, 0, first, end);
                    break;
                case RowKind.LevelsAndStates when states == 1:
                    product.RunLevels(levels, first, end);
                    break;
                default:
                    for (var each = 0; each < levels; each++)
                    {
                        product.Run(states, each, first, end);
                    }
                    break;
            }
        }
    }
}
