namespace Tilt.Tests.Model;

/// <summary>What a mistyped name is answered with.</summary>
public class SuggestTests
{
    [Fact]
    public void A_short_list_is_told_whole()
    {
        var error = Suggest.Unknown("fruit", "aple", ["pear", "apple", "plum"]);
        Assert.Equal("unknown fruit 'aple'. Did you mean 'apple'? Known: pear, apple, plum.", error.Message);
    }

    [Fact]
    public void Of_a_long_list_only_the_nearest_are_told()
    {
        var names = Enumerable.Range(100, 900).Select(i => $"name-{i}").ToList();
        var error = Suggest.Unknown("thing", "nme-123", names);
        Assert.Contains("Did you mean 'name-123'?", error.Message, StringComparison.Ordinal);
        Assert.Contains("The nearest of 900: name-123, ", error.Message, StringComparison.Ordinal);
        Assert.Equal(9, error.Message.Split("name-").Length - 1);
    }

    [Fact]
    public void Nothing_near_is_not_suggested()
    {
        Assert.Null(Suggest.Nearest("quince", ["pear", "plum"]));
    }
}
