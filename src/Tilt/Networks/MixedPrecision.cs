using System.Runtime.Intrinsics.X86;

namespace Tilt.Networks;

/// <summary>The number type of the large matrix products while training.</summary>
public enum Precision
{
    /// <summary>bf16 where the processor multiplies it natively, float32 elsewhere.</summary>
    Auto,

    /// <summary>float32 throughout.</summary>
    Float32,

    /// <summary>Products of hidden layers in bf16; weights, optimizer, loss, first and last layers in float32.</summary>
    BFloat16,
}

/// <summary>Lets the hidden layers of networks multiply in bf16 within a scope, as an autocast does.</summary>
/// <remarks>
/// bf16 has float32's range and 8 bits of fraction. Within the scope products of hidden layers take bf16 factors and accumulate in
/// float32; activations between hidden layers are kept in bf16. Everything else stays float32: the weights that the
/// optimizer sees and their gradients, first and last layers, losses. Outside the scope (sampling, certificates) and for
/// float64 networks or tensors on other devices nothing changes. The choice is made when a network is evaluated; backward may
/// run after the scope. docs/decisions/bf16-products.md tells why and what was measured.
/// </remarks>
public static class MixedPrecision
{
    private const int ExtendedFeatures = 7;
    private const int Avx512Bf16Bit = 5;

    [ThreadStatic]
    private static bool s_active;

    /// <summary>The names that options and the command line use.</summary>
    public static IReadOnlyList<string> Names { get; } = ["auto", "float32", "bf16"];

    /// <summary>Whether this processor multiplies bf16 natively (AVX512-BF16, which every processor with AMX has as well).</summary>
    /// <remarks>Read from CPUID, leaf 7, subleaf 1, EAX bit 5; never timed, so that a run resumes as it began.</remarks>
    public static bool IsNative { get; } =
        Avx512F.IsSupported && (X86Base.CpuId(ExtendedFeatures, 1).Eax & (1 << Avx512Bf16Bit)) != 0;

    /// <summary>Whether networks evaluated now, on this thread, multiply in bf16.</summary>
    public static bool IsActive => s_active;

    /// <summary>The precision of a name.</summary>
    /// <param name="name">auto, float32 or bf16.</param>
    /// <exception cref="TiltException">Another name.</exception>
    public static Precision Parse(string name) =>
        name switch
        {
            "auto" => Precision.Auto,
            "float32" => Precision.Float32,
            "bf16" => Precision.BFloat16,
            _ => throw Suggest.Unknown("precision", name, Names),
        };

    /// <summary>The name of a precision.</summary>
    /// <param name="precision">Any.</param>
    public static string Name(this Precision precision) => Names[(int)precision];

    /// <summary>What <see cref="Precision.Auto"/> means on this processor; the others are themselves.</summary>
    /// <param name="precision">What was asked for.</param>
    /// <remarks>Resolve once, when a run begins, and write the result into its options: a resumed run keeps it.</remarks>
    public static Precision Resolve(this Precision precision) =>
        precision != Precision.Auto ? precision
        : IsNative ? Precision.BFloat16
        : Precision.Float32;

    /// <summary>Makes networks on this thread multiply as asked until the scope is disposed.</summary>
    /// <param name="precision">What to use; Auto is resolved. bf16 works on every processor and is slow where it is not native.</param>
    public static Scope Use(Precision precision)
    {
        var before = s_active;
        s_active = precision.Resolve() == Precision.BFloat16;
        return new(before);
    }

    /// <summary>Puts back, when disposed, what held before <see cref="Use"/>.</summary>
    public readonly struct Scope : IDisposable
    {
        private readonly bool _before;

        internal Scope(bool before)
        {
            _before = before;
        }

        /// <inheritdoc/>
        public void Dispose() => s_active = _before;
    }

    /// <summary>Whether a product of this input belongs in bf16.</summary>
    internal static bool Covers(Tensor x) =>
        s_active && x.dtype == ScalarType.Float32 && x.device_type == DeviceType.CPU;
}
