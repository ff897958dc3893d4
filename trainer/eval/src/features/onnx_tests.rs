//! Classifiers in ONNX that are no classifiers.

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use super::onnx::{MAX_VALUES, OnnxNetwork};

const FILE: &[u8] = include_bytes!("../../../../tests/fixtures/classifier.onnx");

/// Why the file is refused once `change` has changed it.
fn refused(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut model = ModelProto::decode(FILE).unwrap();
    change(model.graph.as_mut().unwrap());
    let error = OnnxNetwork::read(&model.encode_to_vec(), MAX_VALUES).err();
    let error = format!("{:#}", error.expect("an error"));
    assert!(error.len() < 500 && !error.contains('\n'), "{error}");
    error
}

fn node(kind: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: kind.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: DataType::Int64 as i32,
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// Puts nodes between the input and the layers that take it; the last of them makes "wide".
fn widen(graph: &mut GraphProto, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) {
    let input = graph.input[0].name.clone();
    for node in &mut graph.node {
        for name in node.input.iter_mut().filter(|name| **name == input) {
            "wide".clone_into(name);
        }
    }
    graph.node.splice(0..0, nodes);
    graph.initializer.extend(constants);
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    for length in 0..FILE.len() {
        assert!(OnnxNetwork::read(&FILE[..length], MAX_VALUES).is_err());
    }
    assert!(OnnxNetwork::read(FILE, MAX_VALUES).is_ok());
}

#[test]
fn tensors_that_are_not_there_are_refused() {
    let dims = refused(|graph| graph.initializer[0].dims = vec![1 << 40]);
    assert!(dims.contains("but its dimensions require"), "{dims}");
    let overflow = refused(|graph| graph.initializer[0].dims = vec![1 << 40; 3]);
    assert!(overflow.contains("impossible dimensions"), "{overflow}");
    let negative = refused(|graph| graph.initializer[0].dims = vec![-1]);
    assert!(negative.contains("impossible dimensions"), "{negative}");
    let kind = refused(|graph| graph.initializer[0].data_type = DataType::String as i32);
    assert!(kind.contains("has type 8"), "{kind}");
    let outside = refused(|graph| {
        graph.initializer[0].raw_data.clear();
        graph.initializer[0].data_location = Some(DataLocation::External as i32);
    });
    assert!(outside.contains("save the model as one file"), "{outside}");
}

#[test]
fn a_list_that_is_too_long_is_refused_before_it_is_read() {
    let nodes = refused(|graph| graph.node.extend(vec![NodeProto::default(); 1 << 17]));
    assert!(nodes.contains("more than a network has"), "{nodes}");
    let attributes = refused(|graph| {
        graph.node[0].attribute = vec![AttributeProto::default(); 1 << 16];
    });
    assert!(
        attributes.contains("more than a network has"),
        "{attributes}"
    );
    let numbers = refused(|graph| graph.initializer[0].dims = vec![1; 1 << 23]);
    assert!(numbers.contains("more than a network has"), "{numbers}");
}

#[test]
fn a_network_that_would_compute_too_much_is_refused_before_it_does() {
    let constant = refused(|graph| {
        let nodes = vec![
            node("ConstantOfShape", &["shape"], "zeros"),
            node("ReduceMean", &["zeros"], "zero"),
            node("Add", &[&graph.input[0].name.clone(), "zero"], "wide"),
        ];
        widen(graph, nodes, vec![integers("shape", &[1 << 20, 1 << 16])]);
    });
    assert!(constant.contains("computes more than"), "{constant}");
    let expanded = refused(|graph| {
        let nodes = vec![node(
            "Expand",
            &[&graph.input[0].name.clone(), "shape"],
            "wide",
        )];
        widen(graph, nodes, vec![integers("shape", &[1 << 30, 3, 16, 16])]);
    });
    assert!(expanded.contains("computes more than"), "{expanded}");
    let doubled = refused(|graph| {
        let mut from = graph.input[0].name.clone();
        let mut nodes = Vec::new();
        for step in 0..50 {
            let to = match step {
                49 => "wide".to_owned(),
                _ => format!("doubled{step}"),
            };
            let mut twice = node("Concat", &[&from, &from], &to);
            twice.attribute.push(AttributeProto {
                name: "axis".to_owned(),
                r#type: AttributeType::Int as i32,
                i: 0,
                ..AttributeProto::default()
            });
            nodes.push(twice);
            from = to;
        }
        widen(graph, nodes, Vec::new());
    });
    assert!(doubled.contains("computes more than"), "{doubled}");
}

#[test]
fn a_constant_without_a_value_is_zero_in_32_bits() {
    let mut model = ModelProto::decode(FILE).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let input = graph.input[0].name.clone();
    let nodes = vec![
        node("ConstantOfShape", &["shape"], "zeros"),
        node("Add", &[&input, "zeros"], "wide"),
    ];
    widen(graph, nodes, vec![integers("shape", &[1, 3, 16, 16])]);
    let with_zeros = OnnxNetwork::read(&model.encode_to_vec(), MAX_VALUES).unwrap();
    let image: Vec<f32> = (0..3 * 16 * 16).map(|i| (i as f32).sin()).collect();
    let plain = OnnxNetwork::read(FILE, MAX_VALUES).unwrap();
    assert_eq!(
        with_zeros.forward(&image).unwrap(),
        plain.forward(&image).unwrap()
    );
}

#[test]
fn a_file_without_an_operator_set_is_told_what_it_lacks() {
    let mut model = ModelProto::decode(FILE).unwrap();
    model.opset_import.clear();
    let read = OnnxNetwork::read(&model.encode_to_vec(), MAX_VALUES);
    let error = read.err().expect("an error").to_string();
    assert!(error.contains("has no opset_import"), "{error}");
}

#[test]
fn a_graph_that_is_none_is_refused() {
    let circle = refused(|graph| {
        let end = graph.output[0].name.clone();
        graph.node = vec![node("Identity", &[&end], &end)];
    });
    assert!(
        circle.contains("does not come from a Gemm or MatMul"),
        "{circle}"
    );
    let unknown = refused(|graph| {
        let nodes = vec![node("Frobnicate", &[&graph.input[0].name.clone()], "wide")];
        widen(graph, nodes, Vec::new());
    });
    assert!(unknown.contains("the operator Frobnicate"), "{unknown}");
    let nested = refused(|graph| {
        let inner = AttributeProto {
            name: "then_branch".to_owned(),
            g: Some(GraphProto::default()),
            ..AttributeProto::default()
        };
        graph.node[0].attribute.push(inner);
    });
    assert!(nested.contains("has a subgraph"), "{nested}");
    let axes = refused(|graph| {
        let mut transpose = node("Transpose", &[&graph.input[0].name.clone()], "wide");
        transpose.attribute.push(AttributeProto {
            name: "perm".to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: vec![0, 1, 1, 3],
            ..AttributeProto::default()
        });
        widen(graph, vec![transpose], Vec::new());
    });
    assert!(axes.contains("are not a permutation"), "{axes}");
    let dangling = refused(|graph| graph.output[0].name.push('x'));
    assert!(
        dangling.contains("no layer computes its output"),
        "{dangling}"
    );
}
