using Tilt.Diffusion;
using static TorchSharp.torch;

namespace Tilt.Tests.Oracles;

/// <summary>Data N(m, s²) in every coordinate: the noise prediction, the ODE's flow and the SDE's transition in closed form.</summary>
public sealed record GaussianFlow(double Mean = 0.7, double Deviation = 0.3)
{
    /// <summary>V_t = α²s² + σ², the variance of x_t.</summary>
    public double Variance(NoiseLevel level) =>
        level.Alpha * level.Alpha * Deviation * Deviation + level.Sigma * level.Sigma;

    /// <summary>ε = σ·(x − α·m)/V.</summary>
    public NoisePredictor Noise =>
        (xt, level) =>
        {
            using var scope = NewDisposeScope();
            return (level.Sigma / Variance(level) * (xt - level.Alpha * Mean)).MoveToOuterDisposeScope();
        };

    /// <summary>The exact flow of the ODE: it keeps (x − α·m)/√V.</summary>
    public double Flow(double x, NoiseLevel from, NoiseLevel to) =>
        to.Alpha * Mean + (x - from.Alpha * Mean) * Math.Sqrt(Variance(to) / Variance(from));

    /// <summary>The slope of E[x_to | x_from]: Cov(x_to, x_from)/V_from. Two runs with the same noise draw together by it.</summary>
    public double Regression(NoiseLevel from, NoiseLevel to) => from.Alpha / to.Alpha * Variance(to) / Variance(from);
}
