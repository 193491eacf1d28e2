using Tilt.Model;

namespace Tilt.Inference;

/// <summary>The packed networks of a policy.</summary>
internal sealed class PolicyWeights
{
    /// <summary>The U-shaped score network; null where <see cref="Stack"/> is it.</summary>
    public ResidualScoreLayers? Residual { get; }

    /// <summary>The score network of free depth; null where <see cref="Residual"/> is it.</summary>
    public StackLayers? Stack { get; }

    /// <summary>The energy network; null for a behavior policy.</summary>
    public StackLayers? Guidance { get; }

    /// <summary>How they are packed.</summary>
    public Packing Packing { get; }

    public PolicyWeights(PolicyFile file, string where, WeightStorage storage, LaneWidth lanes)
    {
        Packing = new(storage, lanes);
        var record = file.Record;
        var source = new PolicyTensorSource(file, where);
        var (actions, observations) = (record.ActionDimensions, record.ObservationDimensions);
        if (record.ScoreNetwork == PolicyNetwork.ResidualScore)
        {
            Residual = new(source, actions, observations, Packing);
        }
        else
        {
            Stack = StackLayers.Score(source, actions, observations, Packing);
        }
        Guidance = record.Guidance switch
        {
            null => null,
            { Network: PolicyNetwork.ConditionalEnergy } => StackLayers.ConditionalEnergy(
                source,
                actions,
                observations,
                Packing
            ),
            { MaximumBeta: var largest } => StackLayers.Energy(source, actions, observations, largest, Packing),
        };
        source.RequireNoneLeft();
    }
}

/// <summary>A policy's networks together with a plan, a β and a scale: everything that does not depend on states, computed once.</summary>
internal sealed unsafe class PolicySetting
{
    /// <summary>m = Output·h + State·y + Gradient·∇, the value that the plan combines, from the networks' outputs at one level.</summary>
    public readonly record struct Combination(double Output, double State, double Gradient);

    public PolicyWeights Weights { get; }

    public SolverPlan Plan { get; }

    /// <summary>Whether the energy network takes part.</summary>
    public bool Guided { get; }

    /// <summary>One per evaluation.</summary>
    public Combination[] Combinations { get; }

    /// <summary>Per level what the first sums of the score network (of its joint embedding, where it is residual) start from, padded.</summary>
    public AlignedFloats ScoreLevels { get; }

    /// <summary>Per level what the first sums of the energy network start from, padded.</summary>
    public AlignedFloats? GuidanceLevels { get; }

    public PolicySetting(
        PolicyWeights weights,
        SolverPlan plan,
        Parametrization parametrization,
        double? beta,
        double scale
    )
    {
        (Weights, Plan) = (weights, plan);
        Guided = weights.Guidance is not null && scale != 0;

        var factor = weights.Guidance?.HasDial == true ? scale * beta!.Value : scale;
        Combinations =
        [
            .. plan.Steps.Select(step => Combine(step.Level, plan.Prediction, parametrization, Guided ? factor : 0)),
        ];
        ScoreLevels = weights.Residual is { } residual
            ? Table(t => residual.JointTime.Times(residual.Embed.Of(t)))
            : Table(t => weights.Stack!.Level(t, null));
        if (Guided)
        {
            GuidanceLevels = Table(t => weights.Guidance!.Level(t, beta));
        }
    }

    /// <summary>ε from the networks' outputs, then m from ε: both are linear, so is their chain.</summary>
    /// <remarks>cep.md §9: ε = ε_θ + s·σ_t·∇E_t; dpm-solver.md §3: x̂₀ = (y − σ_t·ε)/α_t.</remarks>
    private static Combination Combine(
        NoiseLevel level,
        Prediction prediction,
        Parametrization parametrization,
        double factor
    )
    {
        var (alpha, sigma) = (level.Alpha, level.Sigma);
        var (output, state) = parametrization switch
        {
            Parametrization.Score => (-1.0, 0.0),
            Parametrization.Noise => (1.0, 0.0),
            Parametrization.Clean => (-alpha / sigma, 1 / sigma),
            _ => (alpha, sigma),
        };
        var gradient = factor * sigma;
        return prediction == Prediction.Noise
            ? new(output, state, gradient)
            : new(-sigma / alpha * output, (1 - sigma * state) / alpha, -sigma / alpha * gradient);
    }

    private AlignedFloats Table(Func<double, double[]> of)
    {
        var rows = Plan.Steps.Select(step => of(step.Level.NetworkTime)).ToArray();
        var stride = Weights.Packing.Padded(rows[0].Length);
        var table = new AlignedFloats((nint)rows.Length * stride);
        for (var level = 0; level < rows.Length; level++)
        {
            for (var i = 0; i < rows[level].Length; i++)
            {
                table.Start[level * stride + i] = (float)rows[level][i];
            }
        }
        return table;
    }
}
