using Tilt.Diffusion;
using Tilt.Energy;
using Tilt.Images.Avatars;
using Tilt.Networks;
using Tilt.Runs;
using Tilt.Training;

namespace Tilt.Images;

/// <summary>Learned intermediate energies of images: heads by name, each guides any noise model on the same schedule.</summary>
/// <remarks>
/// Heads of colors are the six hues; of classes, <c>attribute=value</c> such as <c>background-hue=red</c>; of energies of the caller, their
/// names.
/// </remarks>
public sealed class ImageEnergyModel : IImageModel
{
    /// <summary>What its checkpoints and files call it.</summary>
    public const string Kind = "images-energy";

    private readonly Dictionary<string, (int First, int Count)> _groups = new(StringComparer.Ordinal);

    internal ImageEnergyModel(
        ImageEnergyOptions options,
        IReadOnlyList<string> names,
        (IReadOnlyList<double> Lowest, IReadOnlyList<double> Highest)? range,
        RandomStreams streams
    )
    {
        options.Check();
        (Options, Schedule, Heads) = (options, NoiseSchedules.Parse(options.Schedule), names);
        var generator = streams["weights/energy"];
        if (options.Energy == ImageEnergyKind.Class)
        {
            foreach (var (head, i) in names.Select((head, i) => (head, i)))
            {
                var attribute = head[..head.IndexOf('=', StringComparison.Ordinal)];
                var (first, count) = _groups.GetValueOrDefault(attribute, (i, 0));
                _groups[attribute] = (first, count + 1);
            }
            Network = new ImageClassNetwork(3, options.Data.Size, names.Count, Schedule, options.Network, generator);
        }
        else
        {
            var (lowest, highest) = range ?? ([.. names.Select(_ => 0.0)], [.. names.Select(_ => 1.0)]);
            Network = new ImageEnergyNetwork(
                3,
                options.Data.Size,
                lowest,
                highest,
                options.Atoms,
                Schedule,
                options.Network,
                generator
            );
        }
        if (options.Training.AverageDecay > 0)
        {
            Average = new(Network, options.Training.AverageDecay, AverageStart.BiasCorrected);
        }
    }

    /// <summary>What it was asked for.</summary>
    public ImageEnergyOptions Options { get; }

    /// <summary>What noises the images.</summary>
    public NoiseSchedule Schedule { get; }

    /// <summary>The names of what can guide.</summary>
    public IReadOnlyList<string> Heads { get; }

    /// <summary>What computes.</summary>
    public Network Network { get; }

    internal ExponentialMovingAverage? Average { get; }

    /// <summary>Where each attribute's classes begin among the heads, and how many they are; empty for energies.</summary>
    internal IReadOnlyDictionary<string, (int First, int Count)> Groups => _groups;

    /// <summary>The model of a run's latest checkpoint, with its averaged weights, or of a file of weights.</summary>
    /// <param name="path">The run's folder, or the file.</param>
    /// <param name="notes">Told what is remarkable, such as a damaged checkpoint that was passed over.</param>
    /// <exception cref="TiltException">No run, no checkpoint, or one of another kind.</exception>
    public static ImageEnergyModel Load(string path, Action<string>? notes = null) =>
        ImageWeights.Open(
            path,
            Kind,
            ImagesJson.Default.ImageEnergyOptions,
            notes,
            (options, names, streams) =>
                names.Count > 0
                    ? new ImageEnergyModel(options, names, null, streams)
                    : throw new TiltException($"{path}: does not name its energies. Restore the file.")
        );

    /// <summary>The heads that options ask for, when they are not the caller's own.</summary>
    internal static IReadOnlyList<string> NamesOf(ImageEnergyOptions options) =>
        options.Energy == ImageEnergyKind.Class
            ?
            [
                .. options.Attributes.SelectMany(name =>
                {
                    var attribute = AvatarAttributes.Parse(name);
                    var typed = attribute.Name().Replace(' ', '-');
                    return attribute.Values().Select(value => $"{typed}={value}");
                }),
            ]
            : ImageEnergies.Color.Names;

    /// <summary>E_t of a head.</summary>
    /// <param name="head">One of <see cref="Heads"/>.</param>
    /// <param name="beta">β, from 0 to the dial's end. Classes are conditions, of which there is no more or less: 1 only.</param>
    /// <exception cref="TiltException">No such head, or β out of range.</exception>
    public IntermediateEnergy Energy(string head, double beta = 1)
    {
        var index = Heads.ToList().IndexOf(head);
        if (index < 0)
        {
            throw Suggest.Unknown(Options.Energy == ImageEnergyKind.Class ? "class" : "energy", head, Heads);
        }
        if (Options.Energy == ImageEnergyKind.Class)
        {
            if (beta != 1)
            {
                throw TiltException.Usage(
                    $"beta is {beta:g6}, but a class is a condition and has no beta. Leave it away; --scale strengthens guidance, inexactly."
                );
            }
            return ClassEnergy(head, index);
        }
        var network = (ImageEnergyNetwork)Network;
        var dial = new EnergyDial(0, Options.BetaMax);
        return dial.At(
            (xt, level, at) =>
            {
                using var scope = NewDisposeScope();
                if (Options.Method == ImageMethod.Mse)
                {
                    var time = full([1], level.NetworkTime, dtype: xt.dtype, device: xt.device);
                    return (at * network.MeanEnergies(xt, time).select(1, index)).MoveToOuterDisposeScope();
                }
                var set = full([1, 1], at, dtype: xt.dtype, device: xt.device);
                return network.At(xt, level, set).select(1, index).MoveToOuterDisposeScope();
            },
            beta
        );
    }

    /// <summary>ε of a noise model guided by a head.</summary>
    /// <param name="model">The noise model.</param>
    /// <param name="head">One of <see cref="Heads"/>.</param>
    /// <param name="beta">β; 0 guides nothing.</param>
    /// <param name="scale">The guidance scale s. Exact at 1 only.</param>
    /// <exception cref="TiltException">The two are on different schedules or of different sizes; no such head; β out of range.</exception>
    public NoisePredictor Guide(ImageNoiseModel model, string head, double beta = 1, double scale = 1)
    {
        if (!NoiseSchedules.Same(Schedule, model.Schedule) || !model.Shape.SequenceEqual(Network.SampleShape))
        {
            throw TiltException.Usage(
                $"the energies are on the schedule '{Schedule.Name}' and images of [{string.Join(", ", Network.SampleShape)}]; the noise model "
                    + $"on '{model.Schedule.Name}' and [{string.Join(", ", model.Shape)}]. Train one of them for the other."
            );
        }
        var energy = Energy(head, beta);
        return beta == 0 ? model.Noise : model.Noise.GuidedBy(energy, scale);
    }

    /// <summary>Writes the weights that are sampled from as one file, in bf16.</summary>
    /// <param name="path">The file.</param>
    public void Save(string path) =>
        ImageWeights.Save(
            path,
            Kind,
            OptionRecords.ToJson(Options with { Noise = null }, ImagesJson.Default.ImageEnergyOptions),
            Heads,
            Network
        );

    /// <summary>Puts the averaged weights in the network's place. Training cannot go on from there.</summary>
    public void UseAverages() => Average?.CopyTo(Network);

    /// <inheritdoc/>
    public void Dispose()
    {
        Network.Dispose();
        Average?.Dispose();
    }

    TrainingState IImageModel.Register(TrainingState state) => Register(state);

    internal TrainingState Register(TrainingState state)
    {
        state.Metadata[ImageWeights.KindKey] = Kind;
        state.Metadata["schedule"] = NoiseSchedules.ToJson(Schedule);
        state.Metadata[ImageWeights.NamesKey] = string.Join('\n', Heads);
        state.AddModule("energy", Network);
        if (Average is not null)
        {
            state.AddModel("energy-average", Average);
        }
        return state;
    }

    private IntermediateEnergy ClassEnergy(string head, int index)
    {
        var (first, count) = _groups[head[..head.IndexOf('=', StringComparison.Ordinal)]];
        ClassScores scores = (xt, level) =>
        {
            using var scope = NewDisposeScope();
            return Network.At(xt, level).narrow(1, first, count).MoveToOuterDisposeScope();
        };
        return Options.Method == ImageMethod.Cep
            ? ClassConditionalCep.Energy(scores, index - first)
            : ClassifierGuidance.Energy(scores, index - first);
    }
}
