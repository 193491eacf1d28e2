using Tilt.Images.Avatars;
using Tilt.Runs;

namespace Tilt.Images;

/// <summary>One labelled attribute of a pool.</summary>
/// <param name="Name">Its name as options have it, such as <c>background-hue</c>.</param>
/// <param name="Values">The names of its classes.</param>
/// <param name="Classes">The class of each image, [N], int64.</param>
public sealed record ImageLabels(string Name, IReadOnlyList<string> Values, Tensor Classes);

/// <summary>The images that are trained on, with what is known of them. Batches are functions of the step.</summary>
public sealed class ImagePool : IDisposable
{
    private readonly Tensor _bytes;
    private readonly AvatarSet? _avatars;
    private long _epoch = -1;
    private string? _epochOf;
    private Tensor? _order;

    /// <summary>A pool of given pictures.</summary>
    /// <param name="pictures">At least two.</param>
    /// <param name="name">Where they come from, for manifests.</param>
    /// <exception cref="TiltException">There are fewer than two.</exception>
    public ImagePool(PictureSet pictures, string name)
    {
        if (pictures.Count < 2)
        {
            throw new TiltException(
                $"{name}: found {pictures.Count} image{(pictures.Count == 1 ? "" : "s")}; expected at least 2, and some thousands to learn "
                    + "from. Add images, or use the built-in avatars."
            );
        }
        (Pictures, Name) = (pictures, name);
        _bytes = pictures.Bytes().DetachFromDisposeScope();
    }

    private ImagePool(AvatarSet avatars, string name)
        : this(avatars.Pictures, name) => _avatars = avatars;

    /// <summary>The pool that options ask for.</summary>
    /// <param name="data">Which.</param>
    /// <exception cref="TiltException">They are files, which the command line reads.</exception>
    public static ImagePool Of(ImageData data) =>
        data.Source == ImageData.Avatars
            ? new(AvatarGenerator.Draw(data.Pool, data.Seed), $"avatars {AvatarGenerator.Identity}, seed {data.Seed}")
            : throw TiltException.Usage(
                $"images '{data.Source}': only 'avatars' are made here. Read the pictures and give an {nameof(ImagePool)} of them."
            );

    /// <summary>Draws of the generator that come after the pool: never trained on.</summary>
    /// <param name="data">The pool's options.</param>
    /// <param name="count">How many.</param>
    public static ImagePool HeldOut(ImageData data, long count) =>
        new(AvatarGenerator.Draw(count, data.Seed, data.Pool), $"avatars {AvatarGenerator.Identity}, held out");

    /// <summary>The pictures.</summary>
    public PictureSet Pictures { get; }

    /// <summary>Where they come from.</summary>
    public string Name { get; }

    /// <summary>N.</summary>
    public long Count => Pictures.Count;

    /// <summary>What a manifest says of the pool.</summary>
    public DataSource Source => new(Name, ContentHash.Of(Pictures.Pixels), Count);

    /// <summary>An attribute of all images.</summary>
    /// <param name="attribute">A name of <see cref="AvatarAttributes"/>.</param>
    /// <exception cref="TiltException">These images have no labels, or there is no such attribute.</exception>
    public ImageLabels Labels(string attribute)
    {
        if (_avatars is null)
        {
            throw TiltException.Usage($"{Name}: images without labels. Classes need the built-in avatars.");
        }
        var known = AvatarAttributes.Parse(attribute);
        return new(known.Name().Replace(' ', '-'), known.Values(), _avatars.Labels(known));
    }

    /// <summary>Images by their places, float32, [B, 3, H, W], in [−1, 1].</summary>
    /// <param name="places">[B], int64.</param>
    public Tensor Images(Tensor places)
    {
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        return (_bytes.index_select(0, places).to(ScalarType.Float32) / 127.5 - 1).MoveToOuterDisposeScope();
    }

    /// <summary>A function of images at every one of the pool, part by part.</summary>
    /// <param name="function">[B, 3, H, W] → [B, …].</param>
    /// <returns>[N, …].</returns>
    public Tensor Map(Func<Tensor, Tensor> function)
    {
        const long Part = 4096;
        using var scope = NewDisposeScope();
        using var constant = no_grad();
        var parts = new List<Tensor>();
        for (var first = 0L; first < Count; first += Part)
        {
            using var turn = NewDisposeScope();
            var images = Pictures.Images(first, Math.Min(Part, Count - first));
            parts.Add(function(images).MoveToOuterDisposeScope());
        }
        return cat(parts, 0).MoveToOuterDisposeScope();
    }

    /// <summary>The places of a step's batch: shuffled epochs, what does not fill a batch left out.</summary>
    /// <param name="name">Whose batches: each name has orders of its own.</param>
    /// <param name="step">0, 1, …</param>
    /// <param name="batch">B. Where it is more than N, images come several times.</param>
    /// <param name="streams">Only its seeds are used, so a resumed training sees what an uninterrupted one would have.</param>
    /// <returns>[B], int64.</returns>
    public Tensor Places(string name, long step, long batch, RandomStreams streams)
    {
        var perEpoch = Math.Max(1, Count / batch);
        var epoch = step / perEpoch;
        if (epoch != _epoch || name != _epochOf)
        {
            _order?.Dispose();
            using var generator = new Generator((ulong)streams.SeedOf($"{name}/order/{epoch}"));
            using var scope = NewDisposeScope();
            var passes = Enumerable.Range(0, (int)((batch + Count - 1) / Count));
            _order = cat([.. passes.Select(_ => randperm(Count, generator: generator))], 0).DetachFromDisposeScope();
            (_epoch, _epochOf) = (epoch, name);
        }
        return _order!.narrow(0, step % perEpoch * batch, batch);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _bytes.Dispose();
        _order?.Dispose();
    }
}
