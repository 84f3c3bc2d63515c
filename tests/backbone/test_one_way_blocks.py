"""Parts of the one-way network against attention written out."""

import torch
from one_way_config import ONE_WAY

from prompttune.backbone.one_way_blocks import CrossAttention, GatedMlp, Matching


def test_tokens_attend_to_themselves_and_to_what_is_given() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(ONE_WAY).eval()
    tokens, others = torch.randn(2, 2, 5, ONE_WAY.dim)
    with torch.no_grad():
        _, given = attention(others, None)
        mixed, own = attention(tokens, given)
        both, _ = attention(torch.cat((others, tokens), 1), None)
        torch.testing.assert_close(mixed, both[:, 5:])
        torch.testing.assert_close(own[0], attention(tokens, None)[1][0])


def test_a_gate_that_is_shut_lets_nothing_through() -> None:
    torch.manual_seed(0)
    mlp = GatedMlp(8, 16).eval()
    with torch.no_grad():
        mlp.fc1.weight[:16].zero_()
        mlp.fc1.bias[:16].fill_(-100)
        answers, bias = mlp(torch.randn(3, 8)), mlp.fc2.bias.expand(3, 8)
        torch.testing.assert_close(answers, bias, atol=1e-5, rtol=0)


def test_a_query_takes_the_colors_of_what_it_matches() -> None:
    torch.manual_seed(0)
    matching = Matching(ONE_WAY).eval()
    depths = len(ONE_WAY.match_indices)
    with torch.no_grad():
        torch.nn.init.eye_(matching.out.weight[:, : ONE_WAY.dim])
        matching.out.bias.zero_()
        matching.log_scale.fill_(8)
        features = [torch.randn(1, 6, ONE_WAY.dim)] * depths
        keys = matching.keys(features)
        torch.testing.assert_close(keys.norm(dim=-1), torch.ones(1, depths, 6))
        values = torch.randn(1, 6, ONE_WAY.dim)
        torch.testing.assert_close(matching(keys, keys, values), values, atol=1e-3, rtol=1e-3)
