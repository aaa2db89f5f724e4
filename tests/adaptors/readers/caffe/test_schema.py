"""The generated module of Caffe's schema is what the .proto file beside it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from mloscope.adaptors.readers.caffe import mloscope_caffe_pb2

PROTO = Path(mloscope_caffe_pb2.__file__).with_name("mloscope_caffe.proto").read_text(encoding="utf-8")
MESSAGES = dict(re.findall(r"^message (\w+) \{\n(.*?)^\}", PROTO, re.MULTILINE | re.DOTALL))
KINDS = {
    FieldDescriptor.TYPE_BOOL: "bool", FieldDescriptor.TYPE_FLOAT: "float", FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64", FieldDescriptor.TYPE_STRING: "string", FieldDescriptor.TYPE_UINT32: "uint32",
}  # fmt: skip


def line_of(field: FieldDescriptor) -> str:
    """The field as the .proto file writes it, without its default."""
    named = field.message_type or field.enum_type
    kind = named.name if named is not None else KINDS[field.type]
    return f"{'repeated' if field.is_repeated else 'optional'} {kind} {field.name} = {field.number}"


def test_the_module_has_the_messages_of_the_file() -> None:
    assert list(mloscope_caffe_pb2.DESCRIPTOR.message_types_by_name) == list(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_module_has_the_fields_and_defaults_of_the_file(message: str) -> None:
    descriptor = mloscope_caffe_pb2.DESCRIPTOR.message_types_by_name[message]
    written = re.findall(
        r"^  ((?:optional|repeated) .+? = \d+)(?: \[default = (\S+)\])?;$", MESSAGES[message], re.MULTILINE
    )
    assert [line_of(field) for field in descriptor.fields] == [line for line, _ in written]
    made = getattr(mloscope_caffe_pb2, message)()
    for field, (line, default) in zip(descriptor.fields, written, strict=True):
        assert field.has_default_value == bool(default), line
        if not default:
            continue
        found = getattr(made, field.name)
        if field.enum_type is not None:
            found = field.enum_type.values_by_number[found].name
        assert str(found).lower() == default.lower() or float(found) == pytest.approx(float(default)), line


def test_the_module_has_the_enumerations_of_the_file() -> None:
    found = {}
    nested = [
        each for message in mloscope_caffe_pb2.DESCRIPTOR.message_types_by_name.values() for each in message.enum_types
    ]
    for enumeration in (*mloscope_caffe_pb2.DESCRIPTOR.enum_types_by_name.values(), *nested):
        found[enumeration.name] = {value.name: value.number for value in enumeration.values}
    written = {
        name: {value: int(number) for value, number in re.findall(r"(\w+) = (\d+);", body)}
        for name, body in re.findall(r"^ *enum (\w+) \{\n(.*?)\}", PROTO, re.MULTILINE | re.DOTALL)
    }
    assert found == written
