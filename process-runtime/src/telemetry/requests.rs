//! Splits a batch into requests of a limited size, because a collector refuses a request that is too large. The default
//! limit of a collector for gRPC is 4 MiB. What a request contains does not belong here.

/// The maximum number of bytes of a request, and of a line in a file, according to the sizes of its items. An item that
/// is larger has a request of its own. The sizes are estimates, and the resource and the scopes of the items are not
/// counted. The difference to 2 MiB, the default limit of some HTTP servers, leaves room for these.
const REQUEST: usize = 3 << 19;

/// Splits a batch into requests, in order. `size` returns the encoded size of an item.
pub(super) fn requests<T>(batch: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let sizes: Vec<usize> = batch.iter().map(size).collect();
    if sizes.iter().sum::<usize>() <= REQUEST {
        return vec![batch];
    }
    let (mut requests, mut request, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for (item, size) in batch.into_iter().zip(sizes) {
        if !request.is_empty() && bytes + size > REQUEST {
            requests.push(std::mem::take(&mut request));
            bytes = 0;
        }
        request.push(item);
        bytes += size;
    }
    requests.push(request);
    requests
}

/// Returns the number of bytes of a text in JSON, without its quotes. In protobuf it has at most as many.
pub(super) fn encoded(text: &str) -> usize {
    let added = |byte: u8| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => r"\u0000".len() - 1,
        _ => 0,
    };
    text.len() + text.bytes().map(added).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_split_where_a_request_is_full() {
        let split = |sizes: &[usize]| {
            let requests = requests(sizes.to_vec(), |size| *size);
            assert_eq!(requests.concat(), sizes, "in order, and nothing is lost");
            requests.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(split(&[1, 2, 3]), [3]);
        assert_eq!(split(&[REQUEST]), [1]);
        assert_eq!(split(&[REQUEST / 2; 5]), [2, 2, 1]);
        assert_eq!(split(&[REQUEST * 9, 1, REQUEST, REQUEST * 9]), [1, 1, 1, 1]);
    }

    #[test]
    fn the_size_of_a_text_is_that_of_its_json() {
        for text in ["", "a b", "\u{1}\u{1f}\u{20}", "\"\\", "déjà\u{7f}\u{2028}🦀"] {
            let json = serde_json::to_string(text).expect("a text is JSON");
            assert_eq!(encoded(text), json.len() - 2, "{json}");
        }
        assert!(encoded("\n\t") >= 4);
    }
}
