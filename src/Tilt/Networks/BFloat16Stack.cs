using TorchSharp.Modules;

namespace Tilt.Networks;

/// <summary>What a stack of layers does besides its products.</summary>
/// <param name="Activation">The nonlinearity after each layer.</param>
/// <param name="ExactFirst">Whether the first layer multiplies in float32.</param>
/// <param name="ExactLast">Whether the last layer multiplies in float32.</param>
/// <param name="ActivateLast">Whether the nonlinearity follows the last layer too.</param>
internal sealed record StackShape(Activation Activation, bool ExactFirst, bool ExactLast, bool ActivateLast);

/// <summary>Linear layers with activations, hidden ones multiplied in bf16, forward and backward.</summary>
/// <remarks>
/// Forward keeps, per layer, its input and the slope of the activation that made it; the slope, in bf16, takes the place of the
/// pre-activation, so that backward needs no exponential. Products accumulate in float32 and round once; biases are added in
/// float32; weights and their gradients are float32 outside. Not differentiable twice.
/// </remarks>
internal sealed class BFloat16Stack : autograd.SingleTensorFunction<BFloat16Stack>
{
    private const string PlanKey = "plan";

    // Arguments of the function: the input, the shape, then a weight and a bias per layer.
    private const int InputAt = 0;
    private const int ShapeAt = 1;

    private static int WeightAt(int layer) => 2 + 2 * layer;

    private static int BiasAt(int layer) => 3 + 2 * layer;

    private sealed record Plan(StackShape Shape, int Layers, bool[] Trains, long[] FirstBias)
    {
        public bool IsExact(int layer) => (layer == 0 && Shape.ExactFirst) || (layer == Layers - 1 && Shape.ExactLast);

        public bool IsActivated(int layer) => layer < Layers - 1 || Shape.ActivateLast;

        /// <summary>The type in which a layer's activated values are wanted: that of the next product.</summary>
        public ScalarType TypeAfter(int layer) =>
            layer == Layers - 1 || IsExact(layer + 1) ? ScalarType.Float32 : ScalarType.BFloat16;
    }

    public override string Name => nameof(BFloat16Stack);

    /// <summary>The layers' value, [B, outputs], float32.</summary>
    /// <param name="x">[B, inputs], float32; further leading dimensions are allowed.</param>
    /// <param name="layers">
    /// Weight [outputs, inputs] and bias [outputs] of each layer, float32. The first bias may be [G, outputs], one for each of G groups of
    /// successive rows, where an activation follows.
    /// </param>
    /// <param name="shape">Which are exact and activated.</param>
    public static Tensor Apply(Tensor x, ReadOnlySpan<(Tensor Weight, Tensor Bias)> layers, StackShape shape)
    {
        using var scope = NewDisposeScope();

        var arguments = new object[2 + 2 * layers.Length];
        arguments[InputAt] = x.reshape(-1, x.shape[^1]);
        arguments[ShapeAt] = shape;
        for (var i = 0; i < layers.Length; i++)
        {
            (arguments[WeightAt(i)], arguments[BiasAt(i)]) = layers[i];
        }
        var value = apply(arguments);
        return value.reshape([.. x.shape[..^1], value.shape[^1]]).MoveToOuterDisposeScope();
    }

    /// <summary>One layer's value, [B, outputs], float32.</summary>
    /// <param name="x">[B, inputs], float32.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="activation">What follows it; null for nothing.</param>
    /// <param name="exact">Whether it multiplies in float32.</param>
    public static Tensor Apply(Tensor x, Linear layer, Activation? activation, bool exact) =>
        Apply(
            x,
            [(layer.weight, layer.bias!)],
            new(activation ?? default, exact, exact, ActivateLast: activation is not null)
        );

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var trains = vars.Select(argument => argument is Tensor { requires_grad: true }).ToArray();
        var plan = new Plan((StackShape)vars[ShapeAt], (vars.Length - 2) / 2, trains, ((Tensor)vars[BiasAt(0)]).shape);
        var keeps = trains.Contains(true);
        var saved = new List<Tensor>();

        var h = ((Tensor)vars[InputAt]).contiguous();
        if (!plan.IsExact(0))
        {
            h = h.to(ScalarType.BFloat16);
        }
        for (var i = 0; i < plan.Layers; i++)
        {
            using var layer = NewDisposeScope();
            var master = (Tensor)vars[WeightAt(i)];
            var weight = plan.IsExact(i) ? master.alias() : master.to(ScalarType.BFloat16);
            var bias = ((Tensor)vars[BiasAt(i)]).contiguous();
            // Without the bias, which libtorch would copy over the whole output first; the activation adds it, in float32.
            var z = nn.functional.linear(h, weight);
            Keep(h);
            Keep(weight);
            if (plan.IsActivated(i))
            {
                h = empty(z.shape, dtype: plan.TypeAfter(i));
                // A bf16 pre-activation is needed by nobody once its slope is known: the slope takes its place.
                var slope =
                    !keeps ? null
                    : z.dtype == ScalarType.BFloat16 ? z
                    : empty(z.shape, dtype: ScalarType.BFloat16);
                ActivationKernels.Activate(plan.Shape.Activation, z, bias, h, slope);
                Keep(slope);
            }
            else
            {
                h = z.to(ScalarType.Float32).add_(bias);
            }
            h.MoveToOuterDisposeScope();
        }

        ctx.save_data(PlanKey, plan);
        if (keeps)
        {
            // The engine takes them after this function has returned.
            ctx.save_for_backward([.. saved.Select(tensor => tensor.MoveToOuterDisposeScope())]);
        }
        return h.MoveToOuterDisposeScope();

        void Keep(Tensor? tensor)
        {
            if (keeps && tensor is not null)
            {
                // From the layer's scope to the function's.
                saved.Add(tensor.alias().MoveToOuterDisposeScope());
            }
        }
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var plan = (Plan)ctx.get_data(PlanKey);
        var saved = new Stack<Tensor>(ctx.get_saved_variables());
        var gradients = new Tensor?[plan.Trains.Length];

        var g = grad_output.contiguous();
        for (var i = plan.Layers - 1; i >= 0; i--)
        {
            using var layer = NewDisposeScope();
            var slope = plan.IsActivated(i) ? saved.Pop() : null;
            var weight = saved.Pop();
            var h = saved.Pop();

            // g may take the product with the slope where it is this function's own; the first belongs to the engine.
            var type = plan.IsExact(i) ? ScalarType.Float32 : ScalarType.BFloat16;
            var own = i < plan.Layers - 1 || slope is null;
            var dz = g.dtype == type && own ? g : empty(g.shape, dtype: type);
            var biases = i == 0 ? plan.FirstBias : [g.shape[^1]];
            var sums = plan.Trains[BiasAt(i)] ? empty(biases, dtype: ScalarType.Float32) : null;
            ActivationKernels.Backward(g, slope, dz, sums);
            gradients[BiasAt(i)] = sums?.MoveToOuterDisposeScope();
            if (plan.Trains[WeightAt(i)])
            {
                // A bf16 gradient is left so: the engine widens it to the weight's type, and then owns the only copy. For a
                // layer with few inputs the transposed product is several times faster in libtorch.
                var gradient = plan.IsExact(i) && h.shape[^1] < dz.shape[^1] ? h.t().mm(dz).t() : dz.t().mm(h);
                gradients[WeightAt(i)] = gradient.contiguous().MoveToOuterDisposeScope();
            }
            if (i > 0 || plan.Trains[InputAt])
            {
                g = dz.mm(weight).MoveToOuterDisposeScope();
            }
        }
        if (plan.Trains[InputAt])
        {
            gradients[InputAt] = g.to(ScalarType.Float32);
        }
        return [.. gradients.Select(gradient => gradient?.MoveToOuterDisposeScope()!)];
    }
}
