using Tilt.Images;
using Tilt.Images.Avatars;

namespace Tilt.Tests.Images.Avatars;

public class AvatarGeneratorTests
{
    private static readonly AvatarSet Set = AvatarGenerator.Draw(20_000, seed: 7);

    [Fact]
    public void The_number_of_threads_does_not_change_a_bit()
    {
        var one = AvatarGenerator.Draw(5000, seed: 3, threads: 1);
        var many = AvatarGenerator.Draw(5000, seed: 3, threads: 7);

        Assert.Equal(one.Pictures.Pixels, many.Pictures.Pixels);
        Assert.All(AvatarAttributes.All, attribute => Assert.Equal(one[attribute], many[attribute]));
    }

    [Fact]
    public void A_part_of_the_sequence_is_the_same_drawn_alone()
    {
        var part = AvatarGenerator.Draw(100, seed: 7, first: 4321);

        Assert.Equal(Set.Pictures.Pixels[(4321 * 768)..(4421 * 768)], part.Pictures.Pixels);
        Assert.All(AvatarAttributes.All, attribute => Assert.Equal(Set[attribute][4321..4421], part[attribute]));
        Assert.NotEqual(part.Pictures.Pixels, AvatarGenerator.Draw(100, seed: 8, first: 4321).Pictures.Pixels);
    }

    [Theory]
    [InlineData(AvatarAttribute.BackgroundHue)]
    [InlineData(AvatarAttribute.SkinHue)]
    [InlineData(AvatarAttribute.HairHue)]
    [InlineData(AvatarAttribute.ClothingHue)]
    [InlineData(AvatarAttribute.EyesHue)]
    [InlineData(AvatarAttribute.Hair)]
    [InlineData(AvatarAttribute.Clothing)]
    [InlineData(AvatarAttribute.Eyes)]
    [InlineData(AvatarAttribute.Mouth)]
    public void All_values_of_an_attribute_are_equally_frequent(AvatarAttribute attribute)
    {
        var values = attribute.Values().Count;
        var counts = new double[values];
        foreach (var value in Set[attribute])
        {
            counts[value]++;
        }
        var expected = (double)Set.Count / values;
        var chi = counts.Sum(count => (count - expected) * (count - expected) / expected);

        // χ² of values − 1 degrees of freedom: mean k, variance 2k; five standard deviations.
        Assert.InRange(chi, 0, values - 1 + 5 * Math.Sqrt(2.0 * (values - 1)));
    }

    [Fact]
    public void Hues_of_different_parts_are_independent()
    {
        var (background, skin) = (Set[AvatarAttribute.BackgroundHue], Set[AvatarAttribute.SkinHue]);
        var same = background.Zip(skin).Count(pair => pair.First == pair.Second) / (double)Set.Count;

        // Standard deviation √(p(1 − p)/N) of a share p = 1/6; five of them.
        Assert.Equal(1.0 / 6, same, 5 * Math.Sqrt(5.0 / 36 / Set.Count));
    }

    [Theory]
    [InlineData(AvatarAttribute.WearsHat, AvatarGenerator.HatShare)]
    [InlineData(AvatarAttribute.WearsBeard, AvatarGenerator.BeardShare)]
    [InlineData(AvatarAttribute.WearsAccessories, AvatarGenerator.AccessoriesShare)]
    public void Optional_parts_appear_as_often_as_documented(AvatarAttribute attribute, double share)
    {
        var found = Set[attribute].Count(value => value == 1) / (double)Set.Count;

        Assert.Equal(share, found, 5 * Math.Sqrt(share * (1 - share) / Set.Count));
    }

    [Fact]
    public void Labels_stay_within_their_names()
    {
        Assert.All(
            AvatarAttributes.All,
            attribute => Assert.InRange((int)Set[attribute].Max(), 1, attribute.Values().Count - 1)
        );
        Assert.All(
            AvatarAttributes.All,
            attribute => Assert.Equal(attribute, AvatarAttributes.Parse(attribute.Name()))
        );
        Assert.Contains(
            "background-hue",
            Assert.Throws<TiltException>(() => AvatarAttributes.Parse("backgroundhue")).Message
        );
    }

    [Theory]
    [InlineData(AvatarAttribute.BackgroundHue)]
    [InlineData(AvatarAttribute.SkinHue)]
    [InlineData(AvatarAttribute.ClothingHue)]
    public void Pixels_tell_hues_without_error(AvatarAttribute attribute)
    {
        Assert.NotEmpty(AvatarPixels.Places(attribute));
        Assert.Equal(Set[attribute], AvatarPixels.Read(Set.Pictures, attribute));
    }

    [Fact]
    public void Images_are_the_pixels_scaled_and_back()
    {
        using var scope = torch.NewDisposeScope();
        var few = AvatarGenerator.Draw(3, seed: 1);
        var images = few.Images();

        Assert.Equal([3, 3, 16, 16], images.shape);
        Assert.Equal(few.Pictures.Pixels[768] / 127.5 - 1, images[1, 0, 0, 0].item<float>(), 1e-6);
        Assert.Equal(few.Pictures.Pixels, PictureSet.Of(images).Pixels);
        Assert.Equal(few.Pictures[2].ToArray(), few.Pictures.Pick([2]).Pixels);
    }

    [Fact]
    public void Samples_that_are_not_finite_are_refused()
    {
        using var scope = torch.NewDisposeScope();
        var images = torch.zeros(2, 3, 4, 4);
        images[1, 2, 3, 3] = float.NaN;

        Assert.Contains("1 of 2", Assert.Throws<TiltException>(() => PictureSet.Of(images)).Message);
    }

    [Fact]
    public void Too_many_pictures_are_refused_and_none_are_none()
    {
        Assert.Throws<TiltException>(() => AvatarGenerator.Draw(AvatarGenerator.Most + 1, 0));
        Assert.Throws<TiltException>(() => AvatarGenerator.Draw(-1, 0));
        Assert.Equal(0, AvatarGenerator.Draw(0, 0).Count);
    }
}
