using Tilt.Runs;
using static TorchSharp.torch;

namespace Tilt.Tests.Runs;

public class TensorFileTests
{
    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void Every_element_type_comes_back_bit_for_bit_in_place(ScalarType type)
    {
        using var temporary = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var streams = new RandomStreams(1);
        var matrix = (randn([5, 3], generator: streams["x"]) * 50).to(type);
        var (scalar, none) = (matrix[2, 1].clone(), matrix[..0].clone());
        var path = temporary.File("t.safetensors");
        TensorFile.Save(path, [("matrix", matrix), ("turned", matrix.t()), ("scalar", scalar), ("none", none)]);

        var (matrix2, turned2, scalar2) = (zeros_like(matrix), zeros([3, 5], dtype: type), zeros([], dtype: type));
        TensorFile.Load(path, [("scalar", scalar2), ("none", none), ("matrix", matrix2), ("turned", turned2)]);

        Assert.True(matrix.equal(matrix2).all().item<bool>());
        Assert.True(matrix.t().equal(turned2).all().item<bool>());
        Assert.True(scalar.equal(scalar2).all().item<bool>());
    }

    [Fact]
    public void Infinities_NaN_payloads_and_negative_zero_survive()
    {
        using var temporary = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var odd = tensor([
            double.NaN,
            double.PositiveInfinity,
            -0.0,
            BitConverter.Int64BitsToDouble(0x7ff0000000000123),
        ]);
        TensorFile.Save(temporary.File("odd"), [("odd", odd)]);

        Assert.Equal(odd.bytes.ToArray(), TensorFile.ReadAll(temporary.File("odd"))["odd"].bytes.ToArray());
    }

    [Fact]
    public void Loading_needs_the_same_names_types_and_shapes_and_else_alters_nothing()
    {
        using var temporary = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var path = temporary.File("t.safetensors");
        TensorFile.Save(path, [("a", ones(2)), ("weight", ones(2, 3))]);
        var a = zeros(2);

        Assert.Contains("missing 'b'; not expected 'weight'", Refused(("a", a), ("b", zeros(1))));
        Assert.Contains("not expected 'weight'", Refused(("a", a)));
        Assert.Contains("'weight' is F32 [2, 3]; expected F32 [3, 2]", Refused(("a", a), ("weight", zeros(3, 2))));
        Assert.Contains(
            "'weight' is F32 [2, 3]; expected F64 [2, 3]",
            Refused(("a", a), ("weight", zeros([2, 3], dtype: ScalarType.Float64)))
        );
        Assert.Equal(0, a.sum().item<float>());

        string Refused(params (string, Tensor)[] tensors)
        {
            var message = Assert.Throws<TiltException>(() => TensorFile.Load(path, tensors)).Message;
            Assert.StartsWith(path, message);
            return message;
        }
    }

    [Fact]
    public void Parameters_that_require_gradients_are_saved_and_loaded()
    {
        using var temporary = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var first = nn.Linear(4, 2);
        using var second = nn.Linear(4, 2);
        TensorFile.Save(temporary.File("t"), first.named_parameters().Select(p => (p.name, (Tensor)p.parameter)));
        TensorFile.Load(temporary.File("t"), second.named_parameters().Select(p => (p.name, (Tensor)p.parameter)));

        Assert.True(first.weight.equal(second.weight!).all().item<bool>());
        Assert.True(second.weight!.requires_grad);
    }

    [Fact]
    public void A_tensor_longer_than_one_piece_is_whole()
    {
        using var temporary = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var large = arange(5_000_001, dtype: ScalarType.Int64); // 40 MB: three pieces
        TensorFile.Save(temporary.File("large"), [("large", large)]);
        var loaded = zeros_like(large);
        TensorFile.Load(temporary.File("large"), [("large", loaded)]);

        Assert.True(large.equal(loaded).all().item<bool>());
        Assert.Equal(ContentHash.Of(large), ContentHash.Of(loaded));
        Assert.NotEqual(ContentHash.Of(large), ContentHash.Of(large.view(1, -1)));
    }
}
