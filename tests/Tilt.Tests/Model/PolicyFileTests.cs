using System.Text;
using Tilt.Inference;
using Tilt.Tests.Inference;

namespace Tilt.Tests.Model;

public sealed class PolicyFileTests
{
    [Fact]
    public void What_is_read_is_what_was_written()
    {
        using var folder = new TemporaryFolder();
        using var make = new PolicyMake("mlp", "dial");
        var policy = make.File();
        var path = Path.Combine(folder.Path, PolicyFile.DefaultName);
        policy.Write(path);
        var read = PolicyFile.Read(path);
        Assert.Equal(policy.Hash(), read.Hash());
        Assert.Equal(policy.Record.ToJson(), read.Record.ToJson());
        Assert.Equal(policy.Tensors.Keys.Order(), read.Tensors.Keys.Order());
        Assert.All(policy.Tensors, pair => Assert.Equal(pair.Value.Values, read.Tensors[pair.Key].Values));

        var action = new Policy(policy).Act(new float[11], 1);
        Assert.Equal(action, Policy.Load(path).Act(new float[11], 1));
        Assert.Equal(action, Policy.Load(folder.Path).Act(new float[11], 1));
    }

    [Fact]
    public void A_flipped_bit_anywhere_is_found()
    {
        using var folder = new TemporaryFolder();
        using var make = new PolicyMake("mlp", "none");
        var path = Path.Combine(folder.Path, "p.safetensors");
        make.File().Write(path);
        var bytes = File.ReadAllBytes(path);
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var at = i < 100 ? random.Next(Math.Min(6000, bytes.Length)) : random.Next(bytes.Length);
            var broken = bytes.ToArray();
            broken[at] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(path, broken);
            try
            {
                // Spaces that pad the header mean nothing.
                Assert.Equal(make.File().Hash(), PolicyFile.Read(path).Hash());
                Assert.Equal((byte)' ', bytes[at]);
            }
            catch (TiltException error)
            {
                Assert.Contains(path, error.Message);
            }
        }
    }

    [Fact]
    public void Records_that_make_no_sense_name_the_field()
    {
        using var make = new PolicyMake("mlp", "dial");
        var record = make.File().Record;
        Check("actionDimensions", record with { ActionDimensions = 0 });
        Check("observationMean", record with { ObservationMean = [1] });
        Check("observationDeviation", record with { ObservationDeviation = new double[11] });
        Check("observationMean", record with { ObservationMean = null });
        Check("actionLow", record with { ActionLow = record.ActionHigh });
        Check("guidance.beta", record with { Guidance = record.Guidance! with { Beta = 11 } });
        Check("guidance.scale", record with { Guidance = record.Guidance! with { Scale = double.NaN } });
        Check("guidance.network", record with { Guidance = record.Guidance! with { Network = PolicyNetwork.Score } });
        Check("scoreNetwork", record with { ScoreNetwork = PolicyNetwork.Energy });
        Check("firstTime", record with { FirstTime = 2 });
        Check("solver.steps[14].time", record with { FirstTime = 0.5 }, "solver.steps[");
        Check("solver.steps", record with { Solver = record.Solver with { Steps = [] } });
        Check("format", record with { Format = 2 });

        static void Check(string field, PolicyRecord record, string? part = null) =>
            Assert.Contains(part ?? $": {field} ", Assert.Throws<TiltException>(() => record.Validate("f")).Message);
    }

    [Fact]
    public void Other_files_and_tensors_that_do_not_fit_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var make = new PolicyMake("mlp", "conditional");
        var file = make.File();
        var path = Path.Combine(folder.Path, "p.safetensors");
        Assert.Contains(path, Assert.Throws<TiltException>(() => Policy.Load(path)).Message);
        Assert.Contains(PolicyFile.DefaultName, Assert.Throws<TiltException>(() => Policy.Load(folder.Path)).Message);
        File.WriteAllBytes(path, SafetensorsWriter.ToBytes([]));
        Assert.Contains("holds no policy", Assert.Throws<TiltException>(() => Policy.Load(path)).Message);

        Refused("'score.layers.2.weight' is [96, 95]", "score.layers.2.weight", new([96, 95], new float[96 * 95]));
        Refused("no part of the networks", "score.more", new([1], [1]));
        Refused("lacks the tensor 'guidance.qt.0.bias'", "guidance.qt.0.bias", null);
        var diverged = file.Tensors["score.layers.0.bias"].Values.ToArray();
        diverged[3] = float.NaN;
        Assert.Contains(
            "not finite",
            Assert.Throws<TiltException>(() => With("score.layers.0.bias", new([96], diverged)).Write(path)).Message
        );

        void Refused(string message, string name, PolicyTensor? tensor) =>
            Assert.Contains(message, Assert.Throws<TiltException>(() => new Policy(With(name, tensor))).Message);

        PolicyFile With(string name, PolicyTensor? tensor)
        {
            var tensors = new SortedDictionary<string, PolicyTensor>(
                file.Tensors.ToDictionary(),
                StringComparer.Ordinal
            );
            tensors.Remove(name);
            if (tensor is not null)
            {
                tensors.Add(name, tensor);
            }
            return file with { Tensors = tensors };
        }
    }
}
