using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>What a stack of layers does: which inputs are activated and by what.</summary>
/// <param name="Activation">The nonlinearity.</param>
/// <param name="First">Whether the input passes through it before the first layer.</param>
/// <param name="Last">Whether the last layer's values pass through it.</param>
internal sealed record StackShape(Activation Activation, bool First, bool Last);

/// <summary>Several linear layers with activations, multiplied in bf16, forward and backward.</summary>
/// <remarks>
/// Forward keeps, per layer, its bf16 input and the slope of its activation, in bf16, in place of the pre-activation: backward then
/// needs no exponential. Products accumulate in float32 and round once; weights and their gradients are float32 outside.
/// Not differentiable twice.
/// </remarks>
internal sealed class BFloat16Stack : autograd.SingleTensorFunction<BFloat16Stack>
{
    private const string ShapeKey = "shape";
    private const string TrainsKey = "trains";

    public override string Name => nameof(BFloat16Stack);

    /// <summary>The layers' value, [B, outputs], float32.</summary>
    /// <param name="x">[B, inputs], float32; further leading dimensions are allowed.</param>
    /// <param name="layers">The layers, each with a bias.</param>
    /// <param name="shape">Where the activations stand.</param>
    public static Tensor Apply(Tensor x, ReadOnlySpan<Linear> layers, StackShape shape)
    {
        using var scope = NewDisposeScope();

        var rows = x.reshape(-1, x.shape[^1]);
        var arguments = new object[2 + 2 * layers.Length];
        (arguments[0], arguments[1]) = (rows, shape);
        for (var i = 0; i < layers.Length; i++)
        {
            arguments[2 + 2 * i] = layers[i].weight;
            arguments[3 + 2 * i] = layers[i].bias!;
        }
        var value = apply(arguments);
        return value.reshape([.. x.shape[..^1], value.shape[^1]]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (x, shape) = ((Tensor)vars[0], (StackShape)vars[1]);
        var count = (vars.Length - 2) / 2;
        var trains = vars.OfType<Tensor>().Any(argument => argument.requires_grad);
        var saved = new List<Tensor>();

        Tensor h;
        if (shape.First)
        {
            (h, var slope) = Activate(shape.Activation, x.contiguous(), ScalarType.BFloat16, trains);
            Keep(slope);
        }
        else
        {
            h = x.to(ScalarType.BFloat16).contiguous();
        }
        for (var i = 0; i < count; i++)
        {
            var weight = ((Tensor)vars[2 + 2 * i]).to(ScalarType.BFloat16);
            var bias = ((Tensor)vars[3 + 2 * i]).to(ScalarType.BFloat16);
            Keep(h);
            Keep(weight);
            var z = nn.functional.linear(h, weight, bias);
            var last = i == count - 1;
            if (last && !shape.Last)
            {
                h = z.to(ScalarType.Float32);
                continue;
            }
            (h, var slope) = Activate(shape.Activation, z, last ? ScalarType.Float32 : ScalarType.BFloat16, trains);
            Keep(slope);
        }

        ctx.save_data(ShapeKey, shape);
        ctx.save_data(TrainsKey, vars.Select(v => v is Tensor { requires_grad: true }).ToArray());
        if (trains)
        {
            ctx.save_for_backward([.. saved.Select(tensor => tensor.MoveToOuterDisposeScope())]);
        }
        return h.MoveToOuterDisposeScope();

        void Keep(Tensor? tensor)
        {
            if (trains && tensor is not null)
            {
                saved.Add(tensor);
            }
        }
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var shape = (StackShape)ctx.get_data(ShapeKey);
        var trains = (bool[])ctx.get_data(TrainsKey);
        var saved = new Stack<Tensor>(ctx.get_saved_variables());
        var gradients = new Tensor?[trains.Length];
        var count = (trains.Length - 2) / 2;

        var g = grad_output.contiguous();
        for (var i = count - 1; i >= 0; i--)
        {
            var slope = i < count - 1 || shape.Last ? saved.Pop() : null;
            var weight = saved.Pop();
            var h = saved.Pop();
            var (weightAt, biasAt) = (2 + 2 * i, 3 + 2 * i);

            // From the second turn on g is this function's own product and may be overwritten.
            var dz = g.dtype == ScalarType.BFloat16 ? g : empty(g.shape, dtype: ScalarType.BFloat16);
            var sums = trains[biasAt] ? empty([g.shape[^1]], dtype: ScalarType.Float32) : null;
            ActivationKernels.Backward(g, slope, dz, sums);
            gradients[biasAt] = sums;
            if (trains[weightAt])
            {
                gradients[weightAt] = dz.t().mm(h).to(ScalarType.Float32);
            }
            if (i > 0 || trains[0])
            {
                g = dz.mm(weight);
            }
        }
        if (trains[0])
        {
            var slope = shape.First ? saved.Pop() : null;
            gradients[0] = empty(g.shape, dtype: ScalarType.Float32);
            ActivationKernels.Backward(g, slope, gradients[0]!, null);
        }
        return [.. gradients.Select(gradient => gradient?.MoveToOuterDisposeScope()!)];
    }

    private static (Tensor Value, Tensor? Slope) Activate(Activation activation, Tensor z, ScalarType type, bool trains)
    {
        var h = empty(z.shape, dtype: type);
        // A bf16 pre-activation is needed by nobody once its slope is known: the slope takes its place.
        var slope =
            !trains ? null
            : z.dtype == ScalarType.BFloat16 ? z
            : empty(z.shape, dtype: ScalarType.BFloat16);
        ActivationKernels.Activate(activation, z, h, slope);
        return (h, slope);
    }
}
