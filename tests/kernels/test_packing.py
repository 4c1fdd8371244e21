import threading

import torch


def pack(t):
    return t.t().contiguous()


def test_cached_until_the_source_changes():
    from accel_kernels.packing import PackedWeights

    cache, w = PackedWeights(), torch.randn(3, 4)
    first = cache.get("t", w, pack)
    assert cache.get("t", w, pack) is first
    assert cache.get("other", w, pack) is not first
    w.add_(1)
    assert torch.equal(cache.get("t", w, pack), w.t())
    with torch.no_grad():
        w[0, 0] = 7
    assert cache.get("t", w, pack)[0, 0] == 7


def test_a_new_tensor_never_finds_an_old_ones_entry():
    """The cache holds its sources, so that an allocator can't hand their memory out again."""
    from accel_kernels.packing import PackedWeights

    cache = PackedWeights()
    for _ in range(200):
        w = torch.randn(3, 4)
        assert torch.equal(cache.get("t", w, pack), w.t())
        del w


def test_views_shapes_and_dtypes_are_told_apart():
    from accel_kernels.packing import PackedWeights

    cache, w = PackedWeights(), torch.randn(4, 4)
    for view in (w, w[:2], w.t(), w.view(torch.int32), w.view(2, 8)):
        assert torch.equal(cache.get("t", view, pack), pack(view))


def test_least_recently_used_goes_first():
    from accel_kernels.packing import PackedWeights

    cache, weights = PackedWeights(capacity=2), [torch.randn(2, 2) for _ in range(3)]
    packed = [cache.get("t", w, pack) for w in weights[:2]]
    cache.get("t", weights[0], pack)
    cache.get("t", weights[2], pack)
    assert len(cache) == 2 and cache.get("t", weights[0], pack) is packed[0]
    assert cache.get("t", weights[1], pack) is not packed[1]
    cache.clear()
    assert len(cache) == 0


def test_inference_tensors_are_packed_every_time():
    from accel_kernels.packing import PackedWeights

    cache = PackedWeights()
    with torch.inference_mode():
        w = torch.randn(2, 3)
        cache.get("t", w, pack)
        w.zero_()
        assert torch.equal(cache.get("t", w, pack), w.t()) and len(cache) == 0


def test_threads():
    from accel_kernels.packing import PackedWeights

    cache, weights, wrong = PackedWeights(capacity=3), [torch.randn(8, 8) for _ in range(6)], []

    def work():
        for i in range(300):
            w = weights[i % 6]
            if not torch.equal(cache.get("t", w, pack), w.t()):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
